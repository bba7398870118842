"""A bundle on a device scores photographs: from memory here, from files through the pipeline."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle
from dgqa_infer.bundle.card import Domains
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import is_kadid, words
from dgqa_infer.domains.profile import votes_of
from dgqa_infer.errors import BackendError, ImageError, UsageError
from dgqa_infer.images import resampling
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops, places
from dgqa_infer.images.decode import DecodeLimits, Photograph, decode, from_array, from_pillow
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.quality_map import QualityMap
from dgqa_infer.results import Distortion, Failure, Result, Score

if TYPE_CHECKING:
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

T = TypeVar("T")
Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]

DEFAULT_MODEL = "dgqa-lite0"

_MAX_DISTORTIONS = 3
_MIN_PROBABILITY = 0.1


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the graphs say of one photograph.

    Attributes:
        raw: quality on the label scale, the mean over crops; may be NaN.
        spread: its standard deviation over crops.
        distortions: as in `Score`.
        votes: as in `Score`.
        cells: of its quality map, float32 [grid, h, w]; None when nobody asked.
    """

    raw: float
    spread: float
    distortions: tuple[Distortion, ...] | None
    votes: tuple[int, ...] | None = None
    cells: NDArray[np.float32] | None = None


class Scorer:
    """Scores photographs. A context manager; use it from one thread at a time.

    Attributes:
        bundle: the model.
        jpeg_device: the GPU that decodes JPEGs, "cuda:N"; None where the CPU decodes all.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle = DEFAULT_MODEL,
        *,
        device: str = "auto",
        threads: int | None = None,
        explain: bool = False,
        maps: bool = False,
        strict: bool = False,
        fast_decode: bool = False,
        gpu_decode: bool = False,
        batch_size: int = 8,
        limits: DecodeLimits | None = None,
        background: bool = False,
    ) -> None:
        """Load a model.

        Args:
            model: name of a built-in bundle, a bundle's folder, or a bundle.
            device: "auto", or one of `dgqa_infer.backends.choice.DEVICES`, such as "cpu" or "cuda:0".
            threads: of the CPU for one batch; None for every core.
            explain: also say which distortions each photograph shows.
            maps: also say where in each photograph its score comes from: `Score.quality_map`.
            strict: refuse a JPEG whose data is damaged, even if a picture can be made of it.
            fast_decode: decode large JPEGs at a part of their size, and shrink those faster. Scores move a
                little, so rows name the model with "+scaled". Needs the extra `fast`.
            gpu_decode: decode and shrink plain JPEGs on the GPU that the model runs on. Scores move a little,
                so rows name the model with "+nvjpeg"; a JPEG that the CPU decoded nevertheless carries the
                warning "cpu_decoded". Not run on a GPU yet.
            batch_size: photographs that are scored at once; changes speed and memory, not scores.
            limits: what an input may ask for.
            background: load the graphs in another thread, so that files may be decoded meanwhile; what keeps
                them from running is raised where they are first needed.

        Raises:
            ModelError: the bundle is missing or damaged, or cannot explain.
            BackendError: the device or its runtime is missing, or what decodes on it.
            UsageError: an argument is out of range, or two contradict each other.
        """
        if batch_size < 1:
            raise UsageError(f"batch size is {batch_size}, not 1 or more")
        if gpu_decode:
            check_gpu_decode(strict=strict, fast_decode=fast_decode)
        if fast_decode:
            resampling.require()
        self.bundle = model if isinstance(model, Bundle) else Bundle.load(model)
        self.limits = limits or DecodeLimits()
        self.strict = strict
        self.batch_size = batch_size
        self._maps = maps
        self.jpeg_device: str | None = None
        self._jpegs: DeviceDecoder | None = None
        if gpu_decode:
            from dgqa_infer.images.decoders import nvjpeg

            # First: it is quick to say no.
            self.jpeg_device = nvjpeg.device_beside(device)

        def load(verified: Bundle = self.bundle) -> tuple[Backend, Backend | None]:
            quality = open_backend(verified, QUALITY_GRAPH, device, threads)
            if self.jpeg_device is not None and quality.device.partition(":")[0] not in self.jpeg_device:
                quality.close()
                raise BackendError(
                    f"a GPU decodes JPEGs for a model that runs there, not on {quality.device}"
                )
            return quality, open_backend(verified, DOMAIN_GRAPH, device, threads) if explain else None

        self._loaded = _in_thread(load)
        if not background:
            self._loaded.result()
        if fast_decode:
            # Only now: the graphs and what is built of them are the same.
            self.bundle = self.bundle.with_scaled_decoding()
        if gpu_decode:
            self.bundle = self.bundle.with_gpu_decoding()

    @property
    def backend(self) -> str:
        """The runtime's name, such as "onnxruntime"."""
        return self._loaded.result()[0].name

    @property
    def device(self) -> str:
        """Where the model runs, such as "cpu" or "cuda:0"."""
        return self._loaded.result()[0].device

    @property
    def preprocessing(self) -> Preprocessing:
        """How photographs become crops."""
        return self.bundle.card.preprocessing

    @property
    def model_id(self) -> str:
        """The model as rows name it, such as "dgqa-lite0@1f3a9c0e"."""
        return self.bundle.model_id

    def score(self, image: Source) -> Score:
        """Score one photograph.

        Args:
            image: a path, a file's bytes, a Pillow image, or an upright sRGB array uint8 [height, width, 3].

        Raises:
            ImageError: it cannot be scored; `code` says why.
            BackendError: the runtime failed.
        """
        (result,) = self.score_many([image])
        if isinstance(result, Failure):
            raise ImageError(result.code, result.message, result.path)
        return result

    def score_many(self, images: Iterable[Source]) -> Iterator[Result]:
        """Score photographs in this process, some at a time.

        Args:
            images: each as `score` takes it.

        Yields:
            For each input, in order, its `Score`, or a `Failure` that says why it has none.

        Raises:
            BackendError: the runtime failed.
        """
        inputs = iter(images)
        while batch := [self._prepare(image) for image in islice(inputs, self.batch_size)]:
            stacks = [cut for _, _, cut in batch if cut is not None]
            photos = [
                Photo(index, path, found.width, found.height, found.warnings)
                for index, (path, found, _) in enumerate(batch)
                if isinstance(found, Photograph)
            ]
            results = iter(self.predict(np.concatenate(stacks), photos) if stacks else ())
            for path, found, _ in batch:
                if isinstance(found, ImageError):
                    yield Failure(path, found.code, found.message, self.model_id)
                else:
                    yield next(results)

    def score_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        workers: int | None = None,
        recursive: bool = True,
    ) -> Iterator[Result]:
        """Score files and folders as the command line does: other processes decode, and may die of a file.

        Args:
            paths: files and folders, read as they come.
            workers: number of processes that decode; None for one a core.
            recursive: look into folders within folders.

        Yields:
            For each photograph, in a stable order, its `Score`, or a `Failure` that says why it has none.

        Raises:
            BackendError: the runtime failed, or no process can be started.
        """
        from dgqa_infer.inputs.finder import InputFinder
        from dgqa_infer.pipeline.pipeline import Pipeline

        named = (
            [os.fspath(path) for path in paths]
            if isinstance(paths, Sequence)
            else (os.fspath(path) for path in paths)
        )
        with Pipeline(self, workers=workers) as pipeline:
            found = InputFinder(recursive=recursive).find(named, patterns=False)
            for outcome in pipeline.run(found):
                yield outcome.result

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[Result]:
        """Score photographs that are crops already; see `pipeline.predictor.Predictor`.

        Args:
            crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.
            photos: what is known of each.

        Returns:
            One result a photograph, in order; a failure where the graph gave no number.

        Raises:
            BackendError: the runtime failed.
        """
        return [
            self._result(photo, prediction)
            for photo, prediction in zip(photos, self.infer(crops), strict=True)
        ]

    def infer(self, crops: Pixels) -> list[Prediction]:
        """Run the graphs on the crops of some photographs.

        Args:
            crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.

        Returns:
            One prediction a photograph, in order.

        Raises:
            BackendError: the runtime failed.
        """
        grid = self.preprocessing.grid
        quality_backend, domains_backend = self._loaded.result()
        outputs = quality_backend.infer(crops)
        quality = outputs["quality"].astype(np.float64).reshape(-1, grid)
        cells: Sequence[NDArray[np.float32] | None] = [None] * len(quality)
        if self._maps:
            # A copy: a backend may use the same memory for the next batch.
            found_cells = np.array(outputs["quality_map"], np.float32)
            cells = list(found_cells.reshape(-1, grid, *found_cells.shape[1:]))
        found: Sequence[tuple[Distortion, ...] | None] = [None] * len(quality)
        votes: Sequence[tuple[int, ...] | None] = [None] * len(quality)
        if domains_backend is not None and self.bundle.card.domains is not None:
            logits = domains_backend.infer(crops)["domain_logits"].astype(np.float64)
            means = logits.reshape(len(quality), grid, -1).mean(axis=1)
            # A classifier without an answer must not pass for one that found nothing.
            quality[~np.isfinite(means).all(axis=1)] = np.nan
            found = [_distortions(row, self.bundle.card.domains) for row in means]
            if is_kadid(self.bundle.card.domains):
                votes = [votes_of(row) for row in means]
        with np.errstate(invalid="ignore"):
            raws, spreads = quality.mean(axis=1), quality.std(axis=1)
        return [
            Prediction(float(raws[place]), float(spreads[place]), found[place], votes[place], cells[place])
            for place in range(len(quality))
        ]

    def _result(self, photo: Photo, prediction: Prediction) -> Result:
        if not (math.isfinite(prediction.raw) and math.isfinite(prediction.spread)):
            return Failure(photo.path, "not_finite", f"the model gave {prediction.raw} for it", self.model_id)
        quality_map = None
        if prediction.cells is not None:
            where = places(photo.height, photo.width, self.preprocessing)
            quality_map = QualityMap(prediction.cells, where)
        return Score(
            path=photo.path,
            score=self.bundle.card.calibration(prediction.raw),
            raw=prediction.raw,
            spread=prediction.spread,
            width=photo.width,
            height=photo.height,
            warnings=photo.warnings,
            model=self.model_id,
            distortions=prediction.distortions,
            votes=prediction.votes,
            quality_map=quality_map,
        )

    def close(self) -> None:
        """Free the device."""
        self._jpegs = None
        if self._loaded.exception() is not None:
            return
        for backend in self._loaded.result():
            if backend is not None:
                backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _device_decoder(self) -> DeviceDecoder | None:
        """Of this process, for photographs that no worker decodes; started when the first one comes."""
        if self.jpeg_device is not None and self._jpegs is None:
            from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

            self._jpegs = DeviceDecoder(self.jpeg_device, self.preprocessing)
        return self._jpegs

    def _prepare(self, image: Source) -> tuple[str | None, Photograph | ImageError, Pixels | None]:
        """The input's path, what became of it, and its crops."""
        path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
        try:
            if isinstance(image, Image.Image):
                photograph = from_pillow(image, self.limits)
            elif isinstance(image, np.ndarray):
                photograph = from_array(image, self.limits)
            else:
                photograph = decode(
                    image,
                    self.limits,
                    strict=self.strict,
                    short_side=self.preprocessing.decoded_side,
                    on_device=self._device_decoder(),
                )
            cut, more = crops(photograph.pixels, self.preprocessing, photograph.box)
        except ImageError as error:
            return path, error, None
        return path, photograph.seen(more), cut


def check_gpu_decode(*, strict: bool, fast_decode: bool) -> None:
    """Refuse what cannot be had together with decoding on a GPU.

    Raises:
        UsageError: one of these is asked for too.
    """
    if strict:
        raise UsageError("a GPU's decoder does not tell of damaged data: leave out strict or gpu_decode")
    if fast_decode:
        raise UsageError("a JPEG is decoded one way or the other: leave out fast_decode or gpu_decode")


def _in_thread(load: Callable[[], T]) -> Future[T]:
    """Run this once, in a thread that ends with it."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="dgqa-load")
    future = thread.submit(load)
    thread.shutdown(wait=False)
    return future


def _distortions(logits: NDArray[np.float64], domains: Domains) -> tuple[Distortion, ...]:
    """What the classifier sees in a photograph: nothing if "pristine" is likeliest.

    Args:
        logits: [classes], the mean over crops.
        domains: the classes' names and the temperature.
    """
    scaled = np.nan_to_num(logits) / domains.temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    if order[0] == 0:
        return ()
    likely = [order[0], *(index for index in order[1:] if index and shares[index] >= _MIN_PROBABILITY)]
    return tuple(
        Distortion(words(domains.classes[index]), float(shares[index])) for index in likely[:_MAX_DISTORTIONS]
    )
