"""The 25 distortion types × 5 levels behind KADID-10k and KADIS-700k, as the original MATLAB code makes them.

Sources, as cited in the docstrings: [M] the original generator, [M2] a second copy of its dispatcher,
[D] documentation of MATLAB's functions, [K] known behaviour of those functions not confirmed against
documentation, [C] computed from the definitions.

    >>> import numpy as np
    >>> from dgqa_training.distortions import distort, find
    >>> photo = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 64, 3))
    >>> blurred = distort(photo, find("gaussian-blur").number, level=4, generator=np.random.default_rng(0))
    >>> blurred.shape, blurred.dtype
    ((64, 64, 3), dtype('float32'))
"""

import numpy as np
import numpy.typing as npt

from dgqa_infer.errors import ImageError
from dgqa_training.distortions._arrays import ByteImage, FloatImage, from_bytes, stretch, to_bytes
from dgqa_training.distortions.registry import DISTORTIONS, LEVELS, Distortion, DistortionType, find

__all__ = [
    "DISTORTIONS",
    "LEVELS",
    "ByteImage",
    "Distortion",
    "DistortionType",
    "FloatImage",
    "distort",
    "find",
    "from_bytes",
    "to_bytes",
]


def distort(
    image: npt.NDArray[np.float32] | npt.NDArray[np.uint8],
    type_number: int,
    level: int,
    generator: np.random.Generator,
) -> FloatImage:
    """Apply one distortion as the original generator does: stretch, distort, stretch.

    Both stretches map the smallest value of the whole array to 0 and the largest to 1, all channels
    together; a constant image is not stretched. The input is never modified.

    Args:
        image: [h, w, 3], red, green, blue; float32 in 0–1, or uint8.
        type_number: 1–25, see `DISTORTIONS`.
        level: 1–5.
        generator: the source of all randomness; the same state gives the same image.

    Returns:
        float32 [h, w, 3], 0–1, a new array. `to_bytes` makes the 8-bit image that a file holds.

    Raises:
        ImageError: not [h, w, 3] of these types, empty, out of range or not finite; or too small for the
            type (#20 needs 48 pixels on a side, #23 needs 32).
        UsageError: no such type or level.
    """
    kind = find(type_number)
    value = kind.value(level)
    stretched = stretch(_checked(image))
    distorted = stretch(kind.function(stretched, value, generator))
    if np.shares_memory(distorted, image):
        return distorted.copy()
    return distorted


def _checked(image: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> FloatImage:
    if image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            "unsupported",
            f"a distortion needs red, green and blue, [h, w, 3]; this array is {list(image.shape)}"
            " (repeat a gray channel three times; compose alpha first)",
        )
    if image.size == 0:
        raise ImageError("empty", "the image has no pixels")
    if image.dtype == np.uint8:
        return from_bytes(image.astype(np.uint8, copy=False))
    if image.dtype != np.float32:
        raise ImageError("unsupported", f"a distortion needs float32 in 0-1 or uint8, not {image.dtype}")
    checked = image.astype(np.float32, copy=False)
    low, high = float(checked.min()), float(checked.max())
    if not (low >= 0.0 and high <= 1.0):  # written so that NaN fails too
        raise ImageError(
            "unsupported" if np.isfinite(low + high) else "not_finite",
            f"a float32 image must lie within 0-1; this one spans {low:g} to {high:g}",
        )
    return checked
