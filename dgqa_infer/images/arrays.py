"""The arrays that photographs and crops are."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 [..., height, width, 3], sRGB."""
Box: TypeAlias = tuple[float, float, float, float]
"""Left, upper, right and lower edge."""
