"""What turns crops into results, and the outcome of each input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.attributes import Attributes
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.results import Failure, Row, Score

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph that is decoded.

    Attributes:
        index: its place among the inputs.
        path: as it was named; None for one from memory without a name.
        width: of the upright photograph, in pixels.
        height: likewise.
        warnings: stable words for what a careful reader should know.
        attributes: what was measured of the picture that the crops are cut from; None where not requested.
        decode_seconds: that decoding, cutting and measuring took in its worker.
    """

    index: int
    path: str | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    attributes: Attributes | None = None
    decode_seconds: float = 0.0


class Predictor(Protocol[R_co]):
    """What turns crops into results, whatever they are; `Scorer` is one, `DomainClassifier` another.

    Attributes:
        batch_size: photographs that it takes at once.
        limits: what an input may ask for.
        strict: refuse a JPEG whose data is damaged.
        measure: have the attributes of each photograph measured.
        jpeg_device: the GPU that decodes plain JPEGs, "cuda:N", where the preprocessing says so; None where
            the CPU decodes all.
    """

    batch_size: int
    limits: DecodeLimits
    strict: bool
    measure: bool
    jpeg_device: str | None

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that it takes itself, beside the crops that it is given."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """How photographs become crops."""
        ...

    @property
    def model_id(self) -> str:
        """The model as failures name it."""
        ...

    def predict(self, crops: Pixels, photos: Sequence[Photo], /) -> Sequence[R_co | Failure]:
        """One result a photograph, in order; called by one thread, and no other.

        Args:
            crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.
            photos: what is known of each.

        Raises:
            BackendError: the runtime failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """One input's end.

    Attributes:
        result: its score, or what else the predictor makes of it; or its failure.
        size: of the file, in bytes; None where there is none.
        mtime: of the file, in seconds since 1970; None where there is none.
        preview: the photograph, small, uint8 [height, width, 3]; None where none was asked for or it failed.
    """

    result: R | Failure
    size: int | None
    mtime: float | None
    preview: Pixels | None = None

    def row(self: Outcome[Score]) -> Row:
        """The result's row, and what tells later whether the file is still the same."""
        return {**self.result.row(), "size": self.size, "mtime": self.mtime}
