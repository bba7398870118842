"""Small pictures of photographs for a page: decoded by processes of their own, as for scoring."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from PIL import Image

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.pipeline.crops import CropsPredictor
from dgqa_infer.pipeline.pipeline import Pipeline

K = TypeVar("K")

_BATCH = 4


def thumbnails(
    files: Mapping[K, str],
    side: int,
    workers: int | None = None,
    wanted: Callable[[K, int | None], bool] = lambda *_: True,
) -> Iterator[tuple[K, Pixels]]:
    """Decode photographs, small.

    Args:
        files: what each is asked for by → its file on this machine.
        side: longest side, in pixels.
        workers: number of processes; None for one a core.
        wanted: called with the key and the file's size in bytes; false leaves the photograph out.

    Yields:
        Key and picture, uint8 [height, width, 3], in order; none for what cannot be decoded.
    """
    if not files:
        return
    # Only the way to a picture matters here, not who would judge it.
    bundle = Bundle.load("dgqa-lite0")
    predictor = CropsPredictor(bundle.card.preprocessing, bundle.model_id, batch_size=_BATCH)
    with Pipeline(predictor, workers=workers, preview=side) as pipeline:
        for key, outcome in zip(files, pipeline.run(list(files.values())), strict=True):
            if outcome.preview is not None and wanted(key, outcome.size):
                yield key, outcome.preview


def data_url(image: Image.Image, format: str, quality: int = 80) -> str:
    """A picture as an address that holds it all.

    Args:
        image: the picture.
        format: "JPEG", "PNG" or "WEBP".
        quality: of the lossy ones, 0–100.
    """
    file = io.BytesIO()
    image.save(file, format, quality=quality, optimize=True)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
