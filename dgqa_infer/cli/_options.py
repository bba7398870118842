"""Options that several commands have, spelled once; and amounts with units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.errors import UsageError
from dgqa_infer.streams import STDOUT

if TYPE_CHECKING:
    from dgqa_infer.images.decode import DecodeLimits
    from dgqa_infer.options import Decoding, WorkerLimits

_STDIN = 0


def output_path(name: str) -> Path:
    """What an option names that is written beside a command's own output.

    Raises:
        typer.BadParameter: it is "-", which would be stdout.
    """
    if name == "-":
        raise typer.BadParameter(
            "- is stdout, and this cannot go there: name a file or folder (./- if need be)"
        )
    return Path(name)


def output_or_stdout(name: str) -> Path:
    """The file that a command writes, or stdout for "-"."""
    return STDOUT if name == "-" else Path(name)


def finite(value: float | None) -> float | None:
    """What an option for a number says: "nan" and "inf" are numbers to Python, and no minimum refuses both.

    Raises:
        typer.BadParameter: it is one of these.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value:g} is not a finite number")
    return value


class Precisions(StrEnum):
    """What the model computes in, as the command line calls it."""

    AUTO = "auto"
    FP32 = "fp32"
    INT8 = "int8"


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|DIR",
        help="A model: a built-in one's name, or a folder that `adapt` or `export` wrote.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|openvino|cuda[:N]|tensorrt[:N]|tensorrt_rtx[:N]|onnxruntime-tensorrt[:N]",
        help="Where the model runs; auto takes a GPU that works. `dgqa-infer doctor` shows what does.",
    ),
]
PrecisionOption = Annotated[
    Precisions,
    typer.Option(
        "--precision",
        help="What the model computes in; auto is int8 on CPUs that are faster in it. Moves scores a little.",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, help="Photographs that are scored at once; scores stay the same.")
]
ModelBatchSizeOption = Annotated[
    int,
    typer.Option(
        "--batch-size", min=1, help="Photographs that the model takes at once; results stay the same."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes that decode photographs.", show_default="one a core")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing on stderr but errors.")]
JsonOption = Annotated[
    bool | None,
    typer.Option("--json/--table", help="JSON, or a table.", show_default="a table to a terminal"),
]

HigherIsBetterOption = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Whether a high number in --labels means good or bad.",
        show_default="higher; must be given for a column called dmos",
    ),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive/--no-recursive", help="Look into folders within folders.")
]
FollowLinksOption = Annotated[
    bool,
    typer.Option("--follow-links", help="Also look into folders that symbolic links lead to, each once."),
]
AllowPrivateOption = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Also open web addresses of this machine (localhost) and link-local ones."
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Only files whose names match, whatever their ending. May be repeated."
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave out files and folders whose names match. May be repeated."),
]
RetryOption = Annotated[
    bool | None,
    typer.Option(
        "--retry-failed/--keep-failed",
        help="With --resume: try all failures again, or none.",
        show_default="those that a disk, a network or a time limit caused",
    ),
]
NullOption = Annotated[
    bool,
    typer.Option(
        "--null", "-0", help="Names on stdin are separated by zero bytes, as `find -print0` writes them."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse a JPEG with damaged data, even if it can be shown.")
]
FastDecodeOption = Annotated[
    bool,
    typer.Option(
        "--fast-decode", help="Decode JPEGs for an old model as new ones have them decoded.", hidden=True
    ),
]
GpuDecodeOption = Annotated[
    bool,
    typer.Option(
        "--gpu-decode",
        help="Experimental: decode JPEGs on the model's NVIDIA GPU; moves scores a little.",
        hidden=True,
    ),
]
SummaryOption = Annotated[
    Path | None,
    typer.Option(
        "--summary",
        parser=output_path,
        metavar="FILE.json",
        help="Also write the run's counts, mean score, percentiles and faults, by folder too.",
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace output files that exist; without it nothing is replaced.")
]


def _limit(name: str, help: str, *, default: str | None = None) -> Any:
    return typer.Option(name, metavar="AMOUNT", help=help, show_default=default or True)


FileSizeLimit = Annotated[str, _limit("--limit-file-size", "Largest file that is read.")]
PixelsLimit = Annotated[str, _limit("--limit-pixels", "Largest number of pixels, width × height.")]
SideLimit = Annotated[str, _limit("--limit-side", "Longest side of a photograph.")]
ProfileLimit = Annotated[str, _limit("--limit-profile", "Largest embedded colour profile that is used.")]
TimeLimit = Annotated[str, _limit("--limit-time", "Longest time to decode a file.")]
MemoryLimit = Annotated[str, _limit("--limit-memory", "Memory limit of each decoding process.")]
TotalMemoryLimit = Annotated[
    str | None,
    _limit("--limit-total-memory", "Memory limit of all processes together.", default="3/4 of the machine's"),
]

# What a system's numbers hold.
_MOST = 2**62
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES = (
    {f"{prefix}b": factor for prefix, factor in _PREFIXES.items()}
    | {f"{prefix}ib": 1024**power for power, prefix in enumerate(_PREFIXES) if power}
    | _PREFIXES
)
_PIXELS = {f"{prefix}p": factor for prefix, factor in _PREFIXES.items()} | _PREFIXES | {"px": 1}
_SECONDS = {"": 1, "s": 1, "ms": 0.001, "min": 60, "h": 3600}


def decoding_of(*, fast: bool, gpu: bool) -> Decoding:
    """What --fast-decode and --gpu-decode say together.

    Raises:
        UsageError: both are given.
    """
    if fast and gpu:
        raise UsageError("--fast-decode and --gpu-decode exclude each other")
    return "scaled" if fast else "gpu" if gpu else "model"


def decode_limits(
    file_size: str, pixels: str, side: str, profile: str, *, allow_private: bool = False
) -> DecodeLimits:
    """What --limit-file-size, -pixels, -side and -profile say, and --allow-private."""
    from dgqa_infer.images.decode import DecodeLimits

    return DecodeLimits(
        file_bytes=bytes_of("--limit-file-size", file_size),
        pixels=pixels_of("--limit-pixels", pixels),
        side=pixels_of("--limit-side", side),
        profile_bytes=bytes_of("--limit-profile", profile),
        allow_private=allow_private,
    )


def worker_limits(time: str, memory: str, total: str | None) -> WorkerLimits:
    """What --limit-time, -memory and -total-memory say."""
    from dgqa_infer.options import WorkerLimits

    return WorkerLimits(
        seconds=seconds_of("--limit-time", time),
        memory_bytes=bytes_of("--limit-memory", memory),
        total_bytes=None if total is None else bytes_of("--limit-total-memory", total),
    )


def named(paths: list[str], *, null: bool) -> tuple[Iterable[str], bool]:
    """What PATH names, and whether a name may be a pattern: those of a list on stdin may not.

    Raises:
        UsageError: "-" is not the only PATH, or -0 is given without it.
    """
    if "-" not in paths:
        if null:
            raise UsageError("-0 is for a list of names on stdin: say - instead of PATH")
        return paths, True
    if len(paths) > 1:
        raise UsageError("- is the list of names on stdin, and must be the only PATH")
    from dgqa_infer.inputs.name_lists import read_names

    return read_names(_STDIN, b"\0" if null else b"\n"), False


def bytes_of(option: str, text: str) -> int:
    """An amount of memory such as "200MB" or "4GiB".

    Raises:
        UsageError: it is none, or zero; names the option.
    """
    return round(_amount(option, text, _BYTES, "200MB or 4GiB"))


def pixels_of(option: str, text: str) -> int:
    """A number of pixels such as "256MP"."""
    return round(_amount(option, text, _PIXELS, "256MP"))


def seconds_of(option: str, text: str) -> float:
    """A time such as "30s" or "2min"."""
    return _amount(option, text, _SECONDS, "30s or 2min")


def _amount(option: str, text: str, units: dict[str, float] | dict[str, int], example: str) -> float:
    match = _AMOUNT.fullmatch(text.strip())
    factor = units.get(match.group(2).lower()) if match else None
    if match is None or factor is None or (value := float(match.group(1)) * factor) <= 0:
        raise UsageError(f"invalid {option} {text!r}: expected e.g. {example}")
    if value > _MOST:
        raise UsageError(f"{option} is too much: expected e.g. {example}")
    return value
