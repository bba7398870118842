"""How photographs are scored: one declaration for the command line, `Scorer` and Ray."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypedDict, Unpack

from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.processor import multiplies_int8

if TYPE_CHECKING:
    from dgqa_infer.bundle.bundle import Bundle

Decoding: TypeAlias = Literal["model", "scaled", "gpu"]
"""How JPEGs are decoded; all but "model" may move scores a little, and rows then name the model accordingly.

model: as the model's card says.
scaled: large ones at a part of their size, and shrunk faster, where the card says otherwise: those of models
    that were made for `short512-grid5-224`. Their rows say "+scaled".
gpu: plain ones on the GPU that the model runs on. Rows say "+nvjpeg"; a JPEG that the CPU decoded
    nevertheless carries the warning "cpu_decoded". Experimental, see docs/speed.md.
"""

Precision: TypeAlias = Literal["auto", "fp32", "int8"]
"""What the quality graph computes in; each gives the model a name of its own, as scores differ a little.

auto: of a model that has both, int8 on processors that multiply 8-bit integers fast, else fp32; or what the
    environment variable `DGQA_PRECISION` says, so that machines of several kinds agree.
"""
PREFERRED = "DGQA_PRECISION"

Explain: TypeAlias = bool | Literal["all"]
"""Whether it is said what is wrong with a photograph; "all": with the probability of each class."""


# A week and a half; and what a system's numbers hold.
_MOST = {"seconds": 1_000_000, "memory_bytes": 2**62, "total_bytes": 2**62}


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What decoding may take.

    Attributes:
        seconds: of wall time, for one file.
        memory_bytes: address space that one file may take in a worker process.
        total_bytes: memory of all processes of a run together; None for three quarters of what the machine,
            or its container, has.
    """

    seconds: float = 30.0
    memory_bytes: int = 4_000_000_000
    total_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 < value <= _MOST[name]:
                raise UsageError(f"the limit {name} is {value}, not above 0 and at most {_MOST[name]:,}")


class ScoringKeywords(TypedDict, total=False):
    """The fields of `ScoringOptions` as keyword arguments, for type checkers."""

    device: str
    threads: int | None
    explain: Explain
    maps: bool
    strict: bool
    decoding: Decoding
    precision: Precision
    batch_size: int
    limits: DecodeLimits
    worker_limits: WorkerLimits


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """How photographs are scored. Can be pickled.

    Attributes:
        device: "auto", or one of `dgqa_infer.backends.choice.DEVICES`, such as "cpu" or "cuda:0".
        threads: of the CPU for one batch; None for every core.
        explain: also say which distortions each photograph shows, and measure its sharpness, brightness and
            noise; "all": the probability of each class too.
        maps: also say where in each photograph its score comes from: `Score.quality_map`.
        strict: refuse a JPEG whose data is damaged, even if a picture can be made of it.
        decoding: how JPEGs are decoded.
        precision: what the quality graph computes in.
        batch_size: photographs that are scored at once; changes speed and memory, not scores.
        limits: what an input may ask for.
        worker_limits: what decoding in other processes may take.
    """

    device: str = "auto"
    threads: int | None = None
    explain: Explain = False
    maps: bool = False
    strict: bool = False
    decoding: Decoding = "model"
    precision: Precision = "auto"
    batch_size: int = 8
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    worker_limits: WorkerLimits = field(default_factory=WorkerLimits)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch size is {self.batch_size}, not 1 or more")
        if self.explain not in (True, False, "all"):
            raise UsageError(f'explain is {self.explain!r}, not True, False or "all"')
        if self.decoding not in ("model", "scaled", "gpu"):
            raise UsageError(f"decoding is {self.decoding!r}, not model, scaled or gpu")
        if self.precision not in ("auto", "fp32", "int8"):
            raise UsageError(f"precision is {self.precision!r}, not auto, fp32 or int8")
        if self.decoding == "gpu" and self.strict:
            raise UsageError(
                "a GPU's decoder does not report damaged data: leave out strict, or decode on the CPU"
            )

    def changed(self, **changes: Unpack[ScoringKeywords]) -> Self:
        """The same options but for some.

        Raises:
            UsageError: one is out of range, or two contradict each other.
        """
        return replace(self, **changes)

    def bundle_for(self, bundle: Bundle) -> Bundle:
        """The bundle as it scores with these options: another graph or other pixels are another model.

        Raises:
            ModelError: it is not to be had in this precision.
            UsageError: it is one whose photographs a GPU decodes, and these options decode on the CPU.
        """
        if bundle.card.preprocessing.decoder is not None and self.decoding != "gpu":
            raise UsageError(f'{bundle.model_id} is for photographs that a GPU decodes: say decoding="gpu"')
        bundle = self.in_precision(bundle)
        if self.decoding == "scaled":
            return bundle.with_scaled_decoding()
        return bundle.with_gpu_decoding() if self.decoding == "gpu" else bundle

    def in_precision(self, bundle: Bundle) -> Bundle:
        """The bundle with the graph that these options ask for on this machine.

        Raises:
            ModelError: it has none.
        """
        if self.precision == "auto":
            return bundle.in_int8() if bundle.has_int8 and self._favours_int8(bundle) else bundle
        if bundle.card.precision == self.precision:
            return bundle
        if self.precision == "int8" and bundle.card.precision == "fp32":
            return bundle.in_int8()
        raise ModelError(f"{bundle.card.name} is in {bundle.card.precision}, not in {self.precision}")

    def decided_for(self, bundle: Bundle, *, gpus: bool) -> Self:
        """The same options with a precision that is the same on every machine of a cluster.

        Args:
            bundle: that scores.
            gpus: whether it runs on GPUs there.
        """
        if self.precision != "auto" or not bundle.has_int8:
            return self
        return replace(self, precision="int8" if not gpus and self._favours_int8(bundle) else "fp32")

    def _favours_int8(self, bundle: Bundle) -> bool:
        """Whether int8 is the faster one where the model will run, or preferred there."""
        if wish := os.environ.get(PREFERRED):
            if wish not in ("fp32", "int8"):
                raise UsageError(f"the environment variable {PREFERRED} is {wish!r}, not fp32 or int8")
            return wish == "int8"
        if not multiplies_int8():
            return False
        if self.device != "auto":
            return self.device in ("cpu", "openvino")
        from dgqa_infer.backends.choice import takes_gpu

        return not takes_gpu(bundle)
