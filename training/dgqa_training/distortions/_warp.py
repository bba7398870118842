"""Bicubic resampling at a displacement per pixel, for #19.

Five warps of a photograph by NumPy's arrays or SciPy's sparse products take 150 to 200 ms, by a compiled loop
50: this is what Numba is here for. It compiles when the first image is warped, in about a second.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dgqa_training.distortions._arrays import FloatImage


def warp_bicubic(image: FloatImage, displacement: npt.NDArray[np.float32]) -> FloatImage:
    """Fetch every pixel from its place plus its displacement, by Keys's cubic convolution (a = −½).

    That kernel is what MATLAB calls bicubic in `interp2` and `imwarp`; Torch and OpenCV use a = −¾.
    Pixels beyond the border replicate it.

    Args:
        image: float32 [h, w, 3].
        displacement: float32 [2, h, w], pixels down and pixels right.

    Returns:
        float32 [h, w, 3], not clipped.
    """
    margin = int(np.ceil(float(np.abs(displacement).max()))) + 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    warped = np.empty(image.shape, np.float32)
    _compiled()(padded, displacement, margin, warped)
    return warped


@cache
def _compiled() -> Callable[..., None]:
    # Not at the head of the module: whoever makes no jitter need not wait for the compiler.
    import numba

    weights = numba.njit(_weights)

    def warp(padded: Any, displacement: Any, margin: int, warped: Any) -> None:
        height, width, _ = warped.shape
        for y in range(height):
            for x in range(width):
                down, right = displacement[0, y, x], displacement[1, y, x]
                whole_down, whole_right = np.floor(down), np.floor(right)
                rows = weights(down - whole_down)
                columns = weights(right - whole_right)
                top = y + margin - 1 + int(whole_down)
                left = x + margin - 1 + int(whole_right)
                red = green = blue = np.float32(0)
                for row in range(4):
                    for column in range(4):
                        weight = rows[row] * columns[column]
                        red += weight * padded[top + row, left + column, 0]
                        green += weight * padded[top + row, left + column, 1]
                        blue += weight * padded[top + row, left + column, 2]
                warped[y, x, 0], warped[y, x, 1], warped[y, x, 2] = red, green, blue

    compiled: Callable[..., None] = numba.njit(warp)
    return compiled


def _weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Weights of the neighbours at −1, 0, 1, 2 of a place that is 0 ≤ t < 1; float32, as t is."""
    half, two, three, four, five = np.float32(0.5), np.float32(2), np.float32(3), np.float32(4), np.float32(5)
    one = np.float32(1)
    return (
        half * t * ((two - t) * t - one),
        half * (t * t * (three * t - five) + two),
        half * t * ((four - three * t) * t + one),
        half * t * t * (t - one),
    )
