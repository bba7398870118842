"""SPAQ: photographs from smartphones, with attributes."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="spaq",
    title="SPAQ",
    images=11_125,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 100),
    obtain="https://github.com/h4nwei/SPAQ",
    citation="Y. Fang, H. Zhu, Y. Zeng, K. Ma, Z. Wang: Perceptual Quality Assessment of Smartphone "
    "Photography, CVPR 2020",
    licence="educational and research purposes only",
)

_ATTRIBUTES = ("Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")


def read(folder: SetFolder) -> Iterator[Sample]:
    """`Annotations/MOS and Image attribute scores.xlsx` and `TestImage/`."""
    images = folder.images("TestImage")
    table = folder.file("Annotations/MOS and Image attribute scores.xlsx")
    for row in folder.xlsx(table, ("Image name", "MOS")):
        yield folder.sample(
            row,
            images.find(row["Image name"], row),
            row.number("MOS"),
            columns={name: row[name] for name in _ATTRIBUTES if name in row.cells},
        )
