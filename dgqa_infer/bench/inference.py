"""The model alone, crops in and qualities out: on every device that runs it, one at a time and many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from dgqa_infer.backends.base import Backend, cpu_share
from dgqa_infer.backends.choice import choices, open_backend
from dgqa_infer.bench import intervals
from dgqa_infer.bench.figures import RATE, Figure, of_rounds
from dgqa_infer.bench.rounds import Effort, durations, rates
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError
from dgqa_infer.images.arrays import Pixels

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True, slots=True)
class Place:
    """A model on a device.

    Attributes:
        name: such as "dgqa-lite0 fp32 on cpu (onnxruntime)".
        backend: open.
        grid: crops of a photograph.
        crop: side of a crop, in pixels.
    """

    name: str
    backend: Backend
    grid: int
    crop: int

    def crops(self, photographs: int) -> Pixels:
        """Crops of so many photographs, all noise: a network takes the same time for everything."""
        shape = (photographs * self.grid, self.crop, self.crop, 3)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@contextmanager
def places(
    bundles: Sequence[Bundle], devices: Sequence[str], missing: dict[str, str]
) -> Iterator[list[Place]]:
    """Every model on every device.

    Args:
        bundles: the models.
        devices: names of devices, each of which must work; none for all that do.
        missing: where the others are put, with the reason.

    Raises:
        BackendError: a device that was named does not work, or none does.
    """
    found: list[Place] = []
    with ExitStack() as stack:
        for bundle in bundles:
            opened = (
                [(device, partial(open_backend, bundle, QUALITY_GRAPH, device)) for device in devices]
                if devices
                else [(choice.device, choice.open) for choice in choices(bundle, QUALITY_GRAPH)]
            )
            for device, open_it in opened:
                try:
                    backend = stack.enter_context(open_it())
                except BackendError as error:
                    if devices:
                        raise
                    missing[device] = str(error)
                    continue
                way = bundle.card.preprocessing
                how = ", ".join(filter(None, (backend.name, cpu_share(backend))))
                label = f"{bundle.card.name} {bundle.card.precision} on {backend.device} ({how})"
                found.append(Place(label, backend, way.grid, way.crop))
        if not found:
            raise BackendError(f"nothing here runs the model: {missing.get('cpu', 'no device was tried')}")
        yield found


def latency(found: Sequence[Place], effort: Effort) -> Iterator[Figure]:
    """Milliseconds for one photograph, from crops to qualities, at the quantiles that the calls can show."""
    ways = {place.name: _Call(place, 1) for place in found}
    for name, seconds in durations(ways, effort).items():
        for column, q in _QUANTILES.items():
            if (known := intervals.quantile(seconds, q)) is not None:
                value, low, high = (None if each is None else 1000 * each for each in known)
                assert value is not None
                yield Figure("latency, one photograph", name, column, "ms", value, low, high)


def throughput(found: Sequence[Place], sizes: Sequence[int], effort: Effort) -> Iterator[Figure]:
    """Photographs a second by how many are inferred at once."""
    for size in sizes:
        ways = {place.name: _Call(place, size) for place in found}
        for name, each in rates(ways, effort).items():
            yield of_rounds("throughput by batch", name, str(size), RATE, each)


class _Call:
    """One call of a backend, with crops that lie ready."""

    def __init__(self, place: Place, photographs: int) -> None:
        self._backend, self._photographs = place.backend, photographs
        self._crops = place.crops(photographs)

    def __call__(self) -> int:
        # Its result lies in this process's memory when it returns: nothing is still under way on a device.
        self._backend.infer(self._crops)
        return self._photographs
