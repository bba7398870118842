"""KADID-10k: 81 references, 25 distortion types at 5 levels. Its `dmos` is higher for better images."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="kadid10k",
    title="KADID-10k",
    images=10_125,
    score="DMOS",
    higher_is_better=True,
    bounds=(1, 5),
    obtain="http://database.mmsp-kn.de/kadid-10k-database.html",
    citation="H. Lin, V. Hosu, D. Saupe: KADID-10k: A Large-scale Artificially Distorted IQA Database, "
    "QoMEX 2019",
    licence="freely available to the research community; pristine images from Pixabay",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """`dmos.csv` beside `images/`; type and level stand in the file name, I01_17_03.png."""
    images = folder.images("images")
    for row in folder.csv(folder.file("dmos.csv"), ("dist_img", "ref_img", "dmos")):
        kind, level = row.groups("dist_img", r".+_(\d\d)_(\d\d)\.\w+")
        yield folder.sample(
            row,
            images.find(row["dist_img"], row),
            row.number("dmos"),
            reference=images.find(row["ref_img"], row),
            distortion=kind,
            domain=int(kind),
            level=int(level),
        )
