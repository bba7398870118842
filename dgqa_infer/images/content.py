"""Is this a photograph at all? How flat it is tells screenshots, slides, logos, charts and empty frames."""

from __future__ import annotations

import numpy as np

from dgqa_infer.images.arrays import Pixels

NOT_A_PHOTOGRAPH = "not_a_photograph"
"""The warning that a picture looks like a screenshot, a slide, a logo or an empty frame."""

FLAT_SHARE = 0.75
"""Share of flat pixels from which on a picture is no photograph.

Among 1,500 ordinary photographs (BIQ2021) 0.5 % reach it: subjects cut out on plain white or black.
"""

LEAST_DEVIATION = 2.0
"""Standard deviation of luma, in levels of 255, below which a frame is empty, whatever its noise."""

LEAST_SIDE = 224
"""Of pictures smaller than that nothing is said."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def looks_like_no_photograph(picture: Pixels) -> bool:
    """Whether a picture is as flat as screenshots, slides, logos and empty frames are.

    A pixel is flat if it equals its neighbours to the right and below in all channels. Sensors have noise, so
    that few of a photograph's are; what a program draws has little else. Every fourth row is looked at.

    Args:
        picture: uint8 [height, width, 3], as it is cut into crops.
    """
    if min(picture.shape[:2]) < LEAST_SIDE:
        return False
    rows, below = picture[:-1:4], picture[1::4]
    here = rows[:, :-1]
    equal = (here == rows[:, 1:]) & (here == below[: len(rows), :-1])
    flat = equal[..., 0] & equal[..., 1] & equal[..., 2]
    return bool(flat.mean() >= FLAT_SHARE or (rows[:, ::4] @ _LUMA).std() < LEAST_DEVIATION)
