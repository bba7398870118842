"""The settings of every actor: the model itself, and how photographs are decoded and scored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.options import ScoringOptions
from dgqa_infer.pipeline.memory import default_total
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Score
from dgqa_infer.scorer import Scorer
from dgqa_infer.setup import setup_of

_CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides what an actor's rows hold, and what it may take. Can be pickled.

    Attributes:
        files: of the bundle, by name: no node needs to have the model.
        options: how photographs are scored.
        cpus: processes that decode in one actor, and threads of the model on a CPU.
        share: actors on one node, which share its memory.
        setup: `dgqa_infer.setup.setup_of` the run, which every failure bears.
        addresses: whether photographs may be addresses, which takes a network and keys.
    """

    files: Mapping[str, bytes] = field(repr=False)
    options: ScoringOptions = field(default_factory=ScoringOptions)
    cpus: int = 1
    share: int = 1
    setup: str = ""
    addresses: bool = True

    @classmethod
    def of(
        cls, bundle: Bundle, options: ScoringOptions, *, gpus: bool = False, addresses: bool = True
    ) -> Self:
        """Settings with a bundle's files, and a precision that is the same on all machines.

        Args:
            bundle: verified when it was loaded, and again by each actor.
            options: how photographs are scored.
            gpus: whether actors have a GPU.
            addresses: whether they may be addresses; so may what a column of photographs holds.

        Raises:
            ModelError: a file has changed since the bundle was loaded.
        """
        files = {name: bundle.graph_bytes(name) for name in bundle.card.files}
        files[_CARD] = (bundle.path / _CARD).read_bytes()
        # Machines may differ in what they would rather have: this one decides for all.
        decided = options.decided_for(bundle, gpus=gpus)
        return cls(files, decided, setup=setup_of(options), addresses=addresses)

    def on(self, cpus: int, actors_a_node: int) -> Self:
        """The same for actors of so many cores, several of which share a node and its memory."""
        return replace(
            self, options=self.options.changed(threads=cpus), cpus=cpus, share=max(1, actors_a_node)
        )

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
                scorer = stack.enter_context(Scorer(bundle, self.options))
            limits = self.options.worker_limits
            # Only here is it known how much memory the node has.
            limits = replace(limits, total_bytes=(limits.total_bytes or default_total()) // self.share)
            pipeline = stack.enter_context(
                Pipeline(scorer, workers=self.cpus, limits=limits, addresses=self.addresses)
            )
            yield scorer, pipeline


def where() -> str:
    """The node that this process runs on: its address, and the start of what Ray calls it."""
    import ray

    context = ray.get_runtime_context()
    return f"{ray.util.get_node_ip_address()} ({context.get_node_id()[:6]})"
