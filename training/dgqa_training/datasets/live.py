"""LIVE, release 2: five distortion types; its score is a difference, lower for better images."""

from collections.abc import Iterator

from dgqa_infer.errors import UsageError
from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="live",
    title="LIVE (release 2)",
    images=779,
    score="DMOS",
    higher_is_better=False,
    bounds=None,  # realigned over sessions, which carries some scores below 0 and above 100
    obtain="https://live.ece.utexas.edu/research/quality/subjective.htm",
    citation="H. R. Sheikh, M. F. Sabir, A. C. Bovik: A Statistical Evaluation of Recent Full Reference "
    "Image Quality Assessment Algorithms, IEEE TIP 15(11), 2006",
    licence="use, copying and distribution allowed with the copyright notice and an acknowledgement of LIVE",
)

_FOLDERS = (("jp2k", 227), ("jpeg", 233), ("wn", 174), ("gblur", 174), ("fastfading", 174))
"""The order in which the MATLAB vectors go through img1.bmp … of each folder."""


def read(folder: SetFolder) -> Iterator[Sample]:
    """`dmos_realigned.mat` and `refnames_all.mat`; entries that are copies of a reference are left out."""
    images, references = folder.images(""), folder.images("refimgs")
    scores = folder.file("dmos_realigned.mat")
    rows = folder.mat(
        {
            "dmos": (scores, "dmos_new"),
            "original": (scores, "orgs"),
            "reference": (folder.file("refnames_all.mat"), "refnames_all"),
        }
    )
    names = [(kind, f"{kind}/img{number + 1}.bmp") for kind, count in _FOLDERS for number in range(count)]
    entries = list(rows)
    if len(entries) != len(names):
        raise UsageError(f"{scores} has {len(entries)} entries where release 2 has {len(names)}")
    for row, (kind, name) in zip(entries, names, strict=True):
        if row.number("original") == 0:
            yield folder.sample(
                row,
                images.find(name, row),
                row.number("dmos"),
                reference=references.find(row["reference"], row),
                distortion=kind,
            )
