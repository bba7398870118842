"""PIPAL: outputs of image restoration, in seven sub-types; its score is an Elo rating."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="pipal",
    title="PIPAL",
    images=23_200,
    score="Elo rating",
    higher_is_better=True,
    bounds=None,
    obtain="https://www.jasongt.com/projectpages/pipal.html",
    citation="J. Gu et al.: PIPAL: a Large-Scale Image Quality Assessment Dataset for Perceptual Image "
    "Restoration, ECCV 2020",
    licence="not stated; published for research",
)

SUBTYPES = (
    ("traditional distortions", 12),
    ("traditional super-resolution", 16),
    ("PSNR-oriented super-resolution", 10),
    ("super-resolution with kernel mismatch", 24),
    ("GAN-based super-resolution", 13),
    ("denoising", 14),
    ("super-resolution and denoising", 27),
)
"""What code k, the middle of A0001_0k_07.bmp, stands for, and its distortions a reference; it is PIPAL-k."""

_REFERENCES = 200


def read(folder: SetFolder, only: int | None = None) -> Iterator[Sample]:
    """The training half: `Train_Label/*.txt`, `Train_Ref/` and distorted images, at the root or in `train/`.

    Those come in four archives, Distortion_1 to _4, also unpacked into one folder: Train_Dist or Distortion.
    """
    base = "train/" if (folder.root / "train").is_dir() else ""
    parts = ("Train_Dist", "Distortion", *(f"Distortion_{part}" for part in range(1, 5)))
    images = folder.images(*(base + part for part in parts))
    references = folder.images(base + "Train_Ref")
    folder.file(base + "Train_Label/A0001.txt")
    for table in sorted((folder.root / base / "Train_Label").glob("*.txt")):
        for row in folder.text(table, ("image", "elo")):
            content, code = row.groups("image", r"(\w+)_(\d\d)_\d\d\.bmp")
            if only is None or int(code) == only:
                yield folder.sample(
                    row,
                    images.find(row["image"], row),
                    row.number("elo"),
                    reference=references.find(f"{content}.bmp", row),
                    distortion=code,
                )


SUBSETS = {
    replace(
        FACTS, name=f"pipal-{code}", title=f"PIPAL-{code}, {words}", images=_REFERENCES * number
    ): partial(read, only=code)
    for code, (words, number) in enumerate(SUBTYPES)
}
"""Facts and reader of each sub-type on its own."""
