"""A folder laid out like an opened pack, of the examples' photographs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_training.representation.pack import Photographs

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "photos"
PRISTINE = ("astronaut", "chelsea", "coffee", "rocket")
AUTHENTIC = ("coffee-darken", "astronaut-jpeg")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The middle of each photograph, so small that a crop fits once."""
    folder = tmp_path_factory.mktemp("pack")
    for kind, names in (("pristine", PRISTINE), ("authentic", AUTHENTIC)):
        (folder / kind).mkdir()
        for name in names:
            image = np.asarray(Image.open(EXAMPLES / f"{name}.webp").convert("RGB"))
            top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
            part = Image.fromarray(image[top : top + 224, left : left + 224])
            part.save(folder / kind / f"{name}.webp", lossless=True)
    return folder


@pytest.fixture
def photographs(folder) -> Photographs:
    return Photographs.in_folder(folder)
