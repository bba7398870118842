"""What every actor is told: the model itself, and how photographs are decoded and scored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.options import WorkerLimits
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Score
from dgqa_infer.scorer import Scorer, check_gpu_decode

_CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides what an actor's rows hold, and what it may take. Can be pickled.

    Attributes:
        files: of the bundle, by name: no node needs to have the model.
        device: as `Scorer` takes it.
        cpus: processes that decode in one actor, and threads of the model on a CPU.
        explain: also say which distortions each photograph shows.
        strict: refuse a JPEG whose data is damaged.
        fast_decode: decode large JPEGs at a part of their size.
        gpu_decode: decode JPEGs on the model's GPU.
        batch_size: photographs that are scored at once.
        limits: what an input may ask for.
        worker_limits: what decoding may take, in each actor.
    """

    files: Mapping[str, bytes] = field(repr=False)
    device: str = "auto"
    cpus: int = 1
    explain: bool = False
    strict: bool = False
    fast_decode: bool = False
    gpu_decode: bool = False
    batch_size: int = 8
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    worker_limits: WorkerLimits = field(default_factory=WorkerLimits)

    def __post_init__(self) -> None:
        if self.gpu_decode:
            check_gpu_decode(strict=self.strict, fast_decode=self.fast_decode)

    @classmethod
    def of(cls, bundle: Bundle, **options: Any) -> Self:
        """Settings with a bundle's files.

        Args:
            bundle: verified when it was loaded, and again by each actor.
            options: the other attributes.

        Raises:
            ModelError: a file has changed since the bundle was loaded.
            UsageError: two options contradict each other.
        """
        files = {name: bundle.graph_bytes(name) for name in bundle.card.files}
        return cls({**files, _CARD: (bundle.path / _CARD).read_bytes()}, **options)

    def on(self, cpus: int, actors_a_node: int) -> Self:
        """The same for actors of so many cores, several of which share a node and what may be in flight."""
        pixels = max(1, self.worker_limits.pixels_in_flight // max(1, actors_a_node))
        return replace(self, cpus=cpus, worker_limits=replace(self.worker_limits, pixels_in_flight=pixels))

    @contextmanager
    def bundle(self) -> Iterator[Bundle]:
        """The bundle on this machine, for as long as it is being loaded.

        Raises:
            ModelError: it was damaged on its way.
        """
        with tempfile.TemporaryDirectory(prefix="dgqa-model-") as folder:
            for name, data in self.files.items():
                (Path(folder) / name).write_bytes(data)
            yield Bundle.load(folder)

    @contextmanager
    def open(self) -> Iterator[tuple[Scorer, Pipeline[Score]]]:
        """A scorer with its pipeline, as `dgqa-infer score` has them on one machine.

        Raises:
            ModelError: the bundle was damaged on its way, or cannot explain.
            BackendError: the device or its runtime is missing on this node.
        """
        with ExitStack() as stack:
            with self.bundle() as bundle:
                scorer = Scorer(
                    bundle,
                    device=self.device,
                    threads=self.cpus,
                    explain=self.explain,
                    strict=self.strict,
                    fast_decode=self.fast_decode,
                    gpu_decode=self.gpu_decode,
                    batch_size=self.batch_size,
                    limits=self.limits,
                )
            stack.enter_context(scorer)
            pipeline = stack.enter_context(Pipeline(scorer, workers=self.cpus, limits=self.worker_limits))
            yield scorer, pipeline


def where() -> str:
    """The node that this process runs on: its address, and the start of what Ray calls it."""
    import ray

    context = ray.get_runtime_context()
    return f"{ray.util.get_node_ip_address()} ({context.get_node_id()[:6]})"
