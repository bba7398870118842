"""A bundle on a device scores photographs: from memory here, from files through the pipeline."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.batches import infer_photographs, memory_bytes, require_values
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.explainer import Explanation, explain_photographs
from dgqa_infer.errors import BackendError, ImageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.attributes import Attributes, attributes
from dgqa_infer.images.crops import crops, places, shrink
from dgqa_infer.images.decode import Photograph, decode, from_array, from_pillow
from dgqa_infer.inputs.addresses import may_be_addresses, shown
from dgqa_infer.inputs.files import Input, name_of, read_memory
from dgqa_infer.options import ScoringKeywords, ScoringOptions
from dgqa_infer.patience import DaemonThread
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.quality_map import QualityMap
from dgqa_infer.results import Failure, Result, Score

if TYPE_CHECKING:
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

T = TypeVar("T")
Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
)

_Loaded: TypeAlias = tuple[Backend, Backend | None, str | None]
"""The graph of quality, that of domains where it is needed, and why a GPU runs neither."""

DEFAULT_MODEL = "dgqa-lite0"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the graphs say of one photograph.

    Attributes:
        raw: quality, 0–10, the mean over crops; may be NaN.
        spread: its standard deviation over crops.
        explanation: what the classifier says; None where it was not asked.
        cells: of its quality map, float32 [grid, h, w]; None where not requested.
    """

    raw: float
    spread: float
    explanation: Explanation | None
    cells: NDArray[np.float32] | None = None


class Scorer:
    """Scores photographs. A context manager; use it from one thread at a time.

    Attributes:
        options: how it scores.
        bundle: the model, with the preprocessing that the options ask for.
        jpeg_device: the GPU that decodes JPEGs, "cuda:N"; None where the CPU decodes all.
        measure: whether sharpness, brightness and noise are measured.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle = DEFAULT_MODEL,
        options: ScoringOptions | None = None,
        **changes: Unpack[ScoringKeywords],
    ) -> None:
        """Load a model.

        Args:
            model: name of a built-in bundle, a bundle's folder, or a bundle.
            options: how photographs are scored; `dgqa_infer.options.ScoringOptions()` where None.
            **changes: fields of the options by name, as in `Scorer(device="cpu", explain=True)`.

        Raises:
            ModelError: the bundle is missing or damaged, or cannot explain.
            BackendError: the device or its runtime is missing, or what decodes on it.
            UsageError: an option is out of range, or two contradict each other.
        """
        self._begin(model, (options or ScoringOptions()).changed(**changes))
        self._loaded.result()

    @classmethod
    def in_background(
        cls,
        model: str | os.PathLike[str] | Bundle,
        options: ScoringOptions,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """A scorer whose graphs another thread loads, so that files may be decoded meanwhile.

        That thread calls `tell` with what `unused_gpu` says, as soon as it is known. What keeps them from
        running is raised where they are first needed; for the rest see `Scorer`.
        """
        scorer = cls.__new__(cls)
        scorer._begin(model, options, tell)
        return scorer

    def _begin(
        self,
        model: str | os.PathLike[str] | Bundle,
        options: ScoringOptions,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.batch_size, self.limits, self.strict = options.batch_size, options.limits, options.strict
        self.measure = bool(options.explain)
        verified = model if isinstance(model, Bundle) else Bundle.load(model)
        self.jpeg_device: str | None = None
        self._jpegs: DeviceDecoder | None = None
        self._idle = threading.Lock()
        if options.decoding == "gpu":
            from dgqa_infer.images.decoders import nvjpeg

            # First: it is quick to say no.
            self.jpeg_device = nvjpeg.device_beside(options.device)
        # The graphs, and what is built of them, are those of the bundle whatever its photographs' decoding.
        verified = options.in_precision(verified)
        self._loaded = _in_thread(partial(_load, verified, options, self.jpeg_device, tell))
        self.bundle = options.bundle_for(verified)

    @property
    def backend(self) -> str:
        """The runtime's name, such as "onnxruntime"."""
        return self._loaded.result()[0].name

    @property
    def device(self) -> str:
        """Where the model runs, such as "cpu" or "cuda:0"."""
        return self._loaded.result()[0].device

    @property
    def unused_gpu(self) -> str | None:
        """Why the CPU runs a graph although there is a GPU, or an engine that was built is not used.

        None if neither is so, or the device was asked for.
        """
        return self._loaded.result()[2]

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the graphs take while they run."""
        graphs = (QUALITY_GRAPH, DOMAIN_GRAPH) if self.options.explain else (QUALITY_GRAPH,)
        return sum(memory_bytes(self.bundle.graph_memory(graph), self.options.threads) for graph in graphs)

    @property
    def preprocessing(self) -> Preprocessing:
        """How photographs become crops."""
        return self.bundle.card.preprocessing

    @property
    def model_id(self) -> str:
        """The model as rows name it, such as "dgqa-lite0@1f3a9c0e"."""
        return self.bundle.model_id

    @property
    def probability_classes(self) -> tuple[str, ...]:
        """The classes whose probabilities rows have: all with `explain="all"`, else none."""
        domains = self.bundle.card.domains
        return domains.classes if self.options.explain == "all" and domains is not None else ()

    def score(self, image: Source) -> Score:
        """Score one photograph.

        Args:
            image: a path, a file's bytes, a file open for reading bytes, a Pillow image, or an upright sRGB
                array uint8 [height, width, 3].

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
            stacks = [cut for _, _, cut, _ in batch if cut is not None]
            photos = [
                Photo(index, path and shown(path), found.width, found.height, found.warnings, measured)
                for index, (path, found, _, measured) in enumerate(batch)
                if isinstance(found, Photograph)
            ]
            results = iter(self.predict(np.concatenate(stacks), photos) if stacks else ())
            for path, found, *_ in batch:
                if isinstance(found, ImageError):
                    yield Failure(path and shown(path), found.code, found.message, self.model_id)
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

        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        named: Iterable[Input] = map(name_of, paths)
        if isinstance(paths, Sequence):
            named = list(named)
        # Names that come later may be anything.
        addresses = not isinstance(named, list) or may_be_addresses(named)
        limits = self.options.worker_limits
        with Pipeline(self, workers=workers, limits=limits, addresses=addresses) as pipeline:
            finder = InputFinder(recursive=recursive, allow_private=self.limits.allow_private)
            found = finder.find(named, patterns=False)
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
        with self._idle:
            return self._infer(crops)

    def _infer(self, crops: Pixels) -> list[Prediction]:
        grid = self.preprocessing.grid
        quality_backend, domains_backend, _ = self._loaded.result()
        outputs = infer_photographs(quality_backend, crops, grid)
        require_values(outputs["quality"], 1)
        quality = outputs["quality"].astype(np.float64).reshape(-1, grid)
        cells: Sequence[NDArray[np.float32] | None] = [None] * len(quality)
        if self.options.maps:
            # A copy: a backend may use the same memory for the next batch.
            found_cells = np.array(outputs["quality_map"], np.float32)
            cells = list(found_cells.reshape(-1, grid, *found_cells.shape[1:]))
        with np.errstate(invalid="ignore"):
            raws, spreads = quality.mean(axis=1), quality.std(axis=1)
        found: Sequence[Explanation | None] = [None] * len(quality)
        card = self.bundle.card
        if domains_backend is not None and card.domains is not None:
            scores = np.array([card.calibration(raw) for raw in raws.tolist()])
            found = explain_photographs(domains_backend, crops, scores, grid, card.domains)
            # A classifier without an answer must not pass for one that found nothing.
            raws[[each is None for each in found]] = np.nan
        return [
            Prediction(float(raw), float(spread), explanation, of_map)
            for raw, spread, explanation, of_map in zip(raws, spreads, found, cells, strict=True)
        ]

    def _result(self, photo: Photo, prediction: Prediction) -> Result:
        if not (math.isfinite(prediction.raw) and math.isfinite(prediction.spread)):
            return Failure(photo.path, "not_finite", f"the model gave {prediction.raw} for it", self.model_id)
        said, quality_map = prediction.explanation, None
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
            distortions=said.distortions if said else None,
            attributes=photo.attributes,
            votes=said.votes if said else None,
            probabilities=said.probabilities if said and self.options.explain == "all" else None,
            quality_map=quality_map,
        )

    def close(self) -> None:
        """Free the device, unless a model without end is still at work on it in another thread."""
        self._jpegs = None
        if not self._idle.acquire(blocking=False):
            return
        self._idle.release()
        if self._loaded.exception() is not None:
            return
        for backend in self._loaded.result()[:2]:
            if backend is not None:
                backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None:
        # Who interrupts does not wait until it is loaded.
        if self._loaded.done() or kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()

    def _device_decoder(self) -> DeviceDecoder | None:
        """Of this process, for photographs that no worker decodes; started when the first one comes."""
        if self.jpeg_device is not None and self._jpegs is None:
            from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

            self._jpegs = DeviceDecoder(self.jpeg_device, self.preprocessing)
        return self._jpegs

    def _prepare(
        self, image: Source
    ) -> tuple[str | None, Photograph | ImageError, Pixels | None, Attributes | None]:
        """The input's path, what became of it, its crops, and what was measured of it."""
        path = os.fsdecode(image) if isinstance(image, str | os.PathLike) else None
        try:
            if isinstance(image, Image.Image):
                photograph = from_pillow(image, self.limits)
            elif isinstance(image, np.ndarray):
                photograph = from_array(image, self.limits)
            else:
                photograph = decode(
                    path if path is not None else read_memory(image, self.limits.file_bytes),
                    self.limits,
                    strict=self.strict,
                    short_side=self.preprocessing.decoded_side,
                    on_device=self._device_decoder(),
                )
            picture = shrink(photograph.pixels, self.preprocessing, photograph.box)
            cut, more = crops(picture, self.preprocessing)
        except ImageError as error:
            return path, error, None, None
        return path, photograph.seen(more), cut, attributes(picture) if self.measure else None


def _load(
    bundle: Bundle, options: ScoringOptions, jpeg_device: str | None, tell: Callable[[str], None]
) -> _Loaded:
    reasons: list[str] = []
    quality = open_backend(bundle, QUALITY_GRAPH, options.device, options.threads, reasons.append)
    if jpeg_device is not None and quality.device.partition(":")[0] not in jpeg_device:
        quality.close()
        raise BackendError(f"a GPU decodes JPEGs for a model that runs there, not on {quality.device}")
    domains = None
    if options.explain:
        domains = open_backend(bundle, DOMAIN_GRAPH, options.device, options.threads, reasons.append)
    # Both graphs may have the same reason.
    for reason in dict.fromkeys(reasons):
        tell(reason)
    return quality, domains, "; ".join(dict.fromkeys(reasons)) or None


def _in_thread(load: Callable[[], T]) -> Future[T]:
    """Run this once, in a thread that ends with it."""
    thread = DaemonThread("dgqa-load")
    future = thread.submit(load)
    thread.close()
    return future
