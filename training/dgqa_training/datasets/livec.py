"""LIVE In the Wild Image Quality Challenge, called LIVEC or CLIVE: photographs from phones and cameras."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="livec",
    title="LIVE In the Wild (LIVEC)",
    images=1_162,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 100),
    obtain="https://live.ece.utexas.edu/research/ChallengeDB/",
    citation="D. Ghadiyaram, A. C. Bovik: Massive Online Crowdsourced Study of Subjective and Objective "
    "Picture Quality, IEEE TIP 25(1), 2016",
    licence="use, copying and distribution allowed with the copyright notice and an acknowledgement of LIVE",
)

_TRAINING_IMAGES = 7
"""The first entries (t1.bmp …) trained the observers; no protocol scores them."""


def read(folder: SetFolder) -> Iterator[Sample]:
    """`Images/`, and names and scores in `Data/All{Images,MOS}_release.mat`."""
    images = folder.images("Images")
    rows = folder.mat(
        {
            "image": (folder.file("Data/AllImages_release.mat"), "AllImages_release"),
            "mos": (folder.file("Data/AllMOS_release.mat"), "AllMOS_release"),
        }
    )
    for index, row in enumerate(rows):
        if index >= _TRAINING_IMAGES:
            yield folder.sample(row, images.find(row["image"], row), row.number("mos"))
