"""Options that several commands have, spelled once; and amounts with units."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from dgqa_infer.errors import UsageError

ModelOption = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME|DIR", help="A built-in bundle's name, or a bundle's folder."),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda[:N]|tensorrt[:N]|openvino",
        help="Where the model runs; auto takes a GPU that works. `dgqa-infer doctor` shows what does.",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, help="Photographs that are scored at once. Scores do not depend on it.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes that decode.", show_default="one a core")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
JsonOption = Annotated[
    bool | None,
    typer.Option("--json/--table", help="JSON, or a table.", show_default="a table to a terminal"),
]

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES = (
    {f"{prefix}b": factor for prefix, factor in _PREFIXES.items()}
    | {f"{prefix}ib": 1024**power for power, prefix in enumerate(_PREFIXES) if power}
    | _PREFIXES
)
_PIXELS = {f"{prefix}p": factor for prefix, factor in _PREFIXES.items()} | _PREFIXES | {"px": 1}
_SECONDS = {"": 1, "s": 1, "ms": 0.001, "min": 60, "h": 3600}


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
        raise UsageError(f"{option} {text!r} is no amount like {example}")
    return value
