"""BIQ2021: photographs of three origins: personal (ss01), deliberately badly shot (ss02), Unsplash (ss03)."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="biq2021",
    title="BIQ2021",
    images=12_000,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 1),
    obtain="https://github.com/nisarahmedrana/BIQ2021",
    citation="N. Ahmed, S. Asif: BIQ2021: a large-scale blind image quality assessment database, Journal of "
    "Electronic Imaging 31(5), 2022",
    licence="research use; not to be redistributed",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """`Images/` and "Train (Images and MOS).csv" with its Test twin; columns tell subset and split."""
    images = folder.images("Images")
    for split in ("Train", "Test"):
        for row in folder.csv(folder.file(f"{split} (Images and MOS).csv"), ("Image Name", "MOS")):
            yield folder.sample(
                row,
                images.find(row["Image Name"], row),
                row.number("MOS"),
                columns={"subset": row["Image Name"][:4], "set": split.lower()},
            )
