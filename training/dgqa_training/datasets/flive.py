"""FLIVE, also LIVE-FB or PaQ-2-PiQ: pictures from public collections. Whole images, without the patches."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="flive",
    title="FLIVE (PaQ-2-PiQ)",
    images=39_810,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 100),
    obtain="https://github.com/niu-haoran/FLIVE_Database",
    citation="Z. Ying et al.: From Patches to Pictures (PaQ-2-PiQ): Mapping the Perceptual Space of Picture "
    "Quality, CVPR 2020",
    licence="labels published for research; pictures under the licences of AVA, VOC, EMOTIC and the blur set",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """`labels_image.csv` and `database/`, into whose folders its names go ("voc_emotic_ava/AVA__1.jpg")."""
    images = folder.images("database")
    table = folder.file("labels_image.csv", "database/labels_image.csv")
    for row in folder.csv(table, ("name", "mos")):
        yield folder.sample(
            row,
            images.find(row["name"], row),
            row.number("mos"),
            columns={"collection": row["name"].partition("/")[0]},
        )
