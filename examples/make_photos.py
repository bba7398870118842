"""Make `examples/photos`: scikit-image's sample photographs, and the same with one fault each.

    python examples/make_photos.py

The photographs are astronaut (NASA, public domain), chelsea (Stéfan van der Walt, CC0), coffee (Pikolo
Espresso Bar and Rachel Michetti, CC0) and rocket (SpaceX, CC0), as scikit-image distributes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from dgqa_training.distortions import find
from dgqa_training.synthesis import synthesize

OUT = Path(__file__).parent / "photos"

PLANTED = {
    "astronaut": (("jpeg", 4), ("white-noise", 5)),
    "chelsea": (("motion-blur", 4), ("pixelate", 4)),
    "coffee": (("gaussian-blur", 4), ("darken", 5)),
    "rocket": (("jpeg2000", 4),),
}
"""Photograph → the distortion types and levels that it is also shown with."""


def main() -> None:
    """Write every photograph, and every planted fault, without further loss."""
    OUT.mkdir(exist_ok=True)
    for name, faults in PLANTED.items():
        photograph = np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB"))
        _write(photograph, name)
        for fault, level in faults:
            distorted = synthesize(photograph, name, find(fault).number, level, seed=0)
            _write(distorted, f"{name}-{fault}")


def _write(image: np.ndarray, name: str) -> None:
    Image.fromarray(image).save(OUT / f"{name}.webp", lossless=True, method=6)


if __name__ == "__main__":
    main()
