"""Where PyTorch trains, as options name it."""

from __future__ import annotations

import re

import torch

from dgqa_infer.errors import UsageError

_NAME = re.compile(r"cpu|cuda(?::(\d{1,4}))?")


def require_device(name: str) -> None:
    """Refuse a device before anything is read for it.

    Args:
        name: "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: there is no such name, or PyTorch sees no such GPU.
    """
    if (match := _NAME.fullmatch(name)) is None:
        raise UsageError(f"invalid --device {name!r}: expected cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if name != "cpu" and int(match[1] or 0) >= count:
        raise UsageError(
            f"--device {name}: PyTorch sees {count or 'no'} GPU{'s' * (count != 1)} here"
            + ("" if torch.version.cuda else ", and is installed without CUDA")
        )
