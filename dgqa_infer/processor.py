"""Whether the processor multiplies 8-bit integers fast, and exactly: what int8 graphs are made of.

x86-64 processors with VNNI or AMX, and Arm's with dot products, add up products of 8-bit integers in 32 bits
at once. x86-64 processors without them add two products in 16 bits, which may not hold the sum.

Sources: ONNX Runtime, "Quantize ONNX models", and its onnxruntime_session_options_config_keys.h; the names
are those of the kernel's arch/x86/include/asm/cpufeatures.h and arch/arm64/kernel/cpuinfo.c.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Final

_DOT_PRODUCTS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


@cache
def multiplies_int8(root: Path = Path("/")) -> bool:
    """Whether this processor has dot products of 8-bit integers; False where the system does not tell.

    Args:
        root: of the file system that has `proc`.
    """
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"  # every one since the first has them
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not _DOT_PRODUCTS.isdisjoint(value.split())
    return False
