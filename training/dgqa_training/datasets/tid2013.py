"""TID2013: 24 distortion types at five levels."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="tid2013",
    title="TID2013",
    images=3_000,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 9),
    obtain="http://www.ponomarenko.info/tid2013.htm",
    citation="N. Ponomarenko et al.: Image database TID2013: Peculiarities, results and perspectives, Signal "
    "Processing: Image Communication 30, 2015",
    licence="not stated; published for research",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """Lines "5.51429 i01_01_1.bmp" in `mos_with_names.txt`, `distorted_images/` and `reference_images/`."""
    images, references = folder.images("distorted_images"), folder.images("reference_images")
    for row in folder.text(folder.file("mos_with_names.txt"), ("mos", "image"), separator=None):
        content, kind, level = row.groups("image", r"(\w+)_(\d\d)_(\d)\.\w+")
        yield folder.sample(
            row,
            images.find(row["image"], row),
            row.number("mos"),
            reference=references.find(f"{content}.bmp", row),
            distortion=kind,
            level=int(level),
        )
