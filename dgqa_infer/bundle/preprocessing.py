"""How a photograph becomes crops: the specification that a bundle's card holds.

`dgqa_infer.images.crops` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, get_type_hints

from dgqa_infer.errors import ModelError

SIMD: Final = "fast_image_resize"
"""What shrinks with SIMD instructions, as cards name it: `dgqa_infer.images.resampling`."""

NVJPEG: Final = "nvjpeg"
"""The decoder on NVIDIA's GPUs, as ids name it."""

FILTERS: Final = ("bilinear", "bicubic", "lanczos")
"""Pillow's antialiased filters that a card may name."""

_CENTRE = (0.5, 0.5)
_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
GRIDS: Final[Mapping[int, tuple[tuple[float, float], ...]]] = MappingProxyType(
    {
        1: (_CENTRE,),
        5: (*_CORNERS, _CENTRE),
        9: tuple((x, y) for y in (0.0, 0.5, 1.0) for x in (0.0, 0.5, 1.0)),
    }
)
"""Number of crops → where they lie, as shares of the room that each axis leaves: (x, y)."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a photograph becomes crops; stored in a bundle's card.

    Attributes:
        id: name of this way; other pixels need another id.
        short_side: a photograph whose short side is longer is shrunk to it, in pixels; never enlarged to it.
        crop: side of a crop, in pixels.
        grid: number of crops: 1 (centre), 5 (corners and centre) or 9 (three by three).
        filter: Pillow's antialiased filter for resizing: bilinear, bicubic or lanczos.
        decoded_side: a JPEG is decoded at a half, a quarter or an eighth of its size, as long as its short
            side keeps so many pixels; None for always at its full size.
        resizer: "fast_image_resize" where that shrinks photographs of every format, or Pillow as it would;
            None for Pillow in its own way.
        decoder: "nvjpeg" where a GPU decodes and shrinks plain JPEGs, as `on_gpu` has it and no card; None
            where the CPU does all.
    """

    id: str
    short_side: int
    crop: int
    grid: int
    filter: str = "bicubic"
    decoded_side: int | None = None
    resizer: str | None = None
    decoder: str | None = None

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise ModelError(f"preprocessing {self.id!r}: grid is {self.grid}, not one of {sorted(GRIDS)}")
        if self.filter not in FILTERS:
            raise ModelError(
                f"preprocessing {self.id!r}: filter is {self.filter!r}, not one of {sorted(FILTERS)}"
            )
        if not 1 <= self.crop <= self.short_side:
            raise ModelError(
                f"preprocessing {self.id!r}: crop {self.crop} does not fit short_side {self.short_side}"
            )
        if self.decoded_side is not None and self.decoded_side < self.short_side:
            raise ModelError(
                f"preprocessing {self.id!r}: decoded_side {self.decoded_side} is below "
                f"short_side {self.short_side}"
            )
        if self.resizer not in (None, SIMD):
            raise ModelError(f"preprocessing {self.id!r}: resizer is {self.resizer!r}, not {SIMD!r}")
        if self.decoder not in (None, NVJPEG):
            raise ModelError(f"preprocessing {self.id!r}: decoder is {self.decoder!r}, not {NVJPEG!r}")

    @classmethod
    def from_card(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Read the card's `preprocessing` object.

        Raises:
            ModelError: a field is missing, unknown, of the wrong type or out of range; or it asks for a GPU's
                decoder, which a machine may not have: that is whoever scores to choose.
        """
        for name, kind in get_type_hints(cls).items():
            value = data.get(name)
            # True is a number to Python, and 224.0 is equal to 224: both come to grief only later.
            if name in data and (not isinstance(value, kind) or isinstance(value, bool)):
                word = "text" if isinstance("", kind) else "a whole number"
                raise ModelError(f"preprocessing in the card: {name} is {value!r}, not {word}")
        if data.get("decoder") is not None:
            raise ModelError(
                f"preprocessing in the card: decoder is {data['decoder']!r}, and no card may choose it: leave"
                " the field out, and score with --gpu-decode"
            )
        try:
            return cls(**data)
        except TypeError as error:
            raise ModelError(f"preprocessing in the card does not fit: {error}") from error

    def as_card(self) -> dict[str, Any]:
        """The card's `preprocessing` object."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def suffix(self) -> str:
        """What rows add to the model's name where another preprocessing than the card's is used, or ""."""
        if self.decoder is not None:
            return f"+{self.decoder}"
        return "+scaled" if self.decoded_side is not None and self.resizer is None else ""

    def scaled(self) -> Preprocessing:
        """The same, with large JPEGs decoded at a part of their size; itself where they already are."""
        if self.decoded_side is not None:
            return self
        return replace(self, id=f"{self.id}-scaled", decoded_side=_decoded_side(self.short_side))

    def on_gpu(self) -> Preprocessing:
        """The same, with plain JPEGs decoded and shrunk on a GPU: `dgqa_infer.images.decoders.nvjpeg`."""
        if self.decoder is not None:
            return self
        return replace(self, id=f"{self.id}-{NVJPEG}", decoded_side=None, resizer=None, decoder=NVJPEG)


def _decoded_side(short_side: int) -> int:
    """2 1/4 times the short side that is needed: at less, scores move further than fp16 may move them.

    `python -m benchmarks scaled_decoding` tells.
    """
    return short_side * 9 // 4


FULL = Preprocessing(id="short512-grid5-224", short_side=512, crop=224, grid=5)
"""JPEGs decoded at their full size and shrunk by Pillow: the built-in model's way up to its version 2.0.0."""

STANDARD = replace(FULL, id="dct1152-short512-grid5-224", decoded_side=_decoded_side(512), resizer=SIMD)
"""What the built-in model is trained and scored with. Photographs up to 512 pixels are as in `FULL`."""
