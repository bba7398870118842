"""CSIQ: six distortion types at four or five levels; its score is a difference, lower for better images."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="csiq",
    title="CSIQ",
    images=866,
    score="DMOS",
    higher_is_better=False,
    bounds=(0, 1),
    obtain="https://s2.smu.edu/~eclarson/csiq.html",
    citation="E. C. Larson, D. M. Chandler: Most apparent distortion: full-reference image quality "
    "assessment and the role of strategy, Journal of Electronic Imaging 19(1), 2010",
    licence="not stated; published for research",
)

_FILES = {
    "noise": ("awgn", "AWGN"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
}
"""The table's word for a type → its folder, and the word in its files' names."""


def read(folder: SetFolder) -> Iterator[Sample]:
    """The sheet `all_by_image` of `csiq.DMOS.xlsx`, `src_imgs/` and `dst_imgs/blur/1600.BLUR.1.png`."""
    images, references = folder.images("dst_imgs"), folder.images("src_imgs")
    columns = ("image", "dst_type", "dst_lev", "dmos")
    for row in folder.xlsx(folder.file("csiq.DMOS.xlsx"), columns, "all_by_image"):
        (kind,) = row.groups("dst_type", f"({'|'.join(_FILES)})")
        place, word = _FILES[kind]
        level = int(row.number("dst_lev"))
        yield folder.sample(
            row,
            images.find(f"{place}/{row['image']}.{word}.{level}.png", row),
            row.number("dmos"),
            reference=references.find(f"{row['image']}.png", row),
            distortion=kind,
            level=level,
        )
