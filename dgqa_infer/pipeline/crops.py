"""A predictor without a model: it hands on the crops of each photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.inputs.addresses import may_be_addresses
from dgqa_infer.inputs.files import Input
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Outcome, Photo


@dataclass(frozen=True, slots=True, eq=False)
class PhotoCrops:
    """A photograph that is decoded and cut.

    Attributes:
        photo: what is known of it.
        crops: uint8 [grid, crop, crop, 3].
    """

    photo: Photo
    crops: Pixels


class CropsPredictor:
    """Gives the pipeline's crops away; see `Predictor`."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        model_id: str,
        *,
        batch_size: int = 8,
        limits: DecodeLimits | None = None,
        strict: bool = False,
        measure: bool = False,
    ) -> None:
        """Say how photographs are decoded.

        Args:
            preprocessing: how they become crops.
            model_id: the model as failures name it.
            batch_size: photographs that are handed on at once.
            limits: what an input may ask for.
            strict: refuse a JPEG whose data is damaged.
            measure: have the attributes of each photograph measured.
        """
        self.preprocessing = preprocessing
        self.model_id = model_id
        self.batch_size = batch_size
        self.limits = limits or DecodeLimits()
        self.strict = strict
        self.measure = measure
        self.jpeg_device: str | None = None
        self.memory_bytes = 0

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[PhotoCrops]:
        """The crops of each photograph."""
        each = crops.reshape(len(photos), -1, *crops.shape[1:])
        return [PhotoCrops(photo, cut) for photo, cut in zip(photos, each, strict=True)]


def read_crops(
    paths: Sequence[Input], preprocessing: Preprocessing, workers: int | None = None
) -> Iterator[Outcome[PhotoCrops]]:
    """The crops of files, decoded by other processes within the usual limits.

    Args:
        paths: of the files, or their addresses.
        preprocessing: how they become crops.
        workers: number of processes that decode; None for one a core.

    Yields:
        One outcome a file, in order.
    """
    predictor, addresses = CropsPredictor(preprocessing, preprocessing.id), may_be_addresses(paths)
    with Pipeline(predictor, workers=workers, addresses=addresses) as pipeline:
        yield from pipeline.run(paths)
