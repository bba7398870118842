"""Which processors multiply 8-bit integers fast, from what the kernel says of them."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from dgqa_infer.processor import multiplies_int8

# Lines of /proc/cpuinfo, shortened: a Zen 4, a Haswell, an Alder Lake, a Neoverse N1, a Cortex-A72.
_ZEN4 = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16 avx512_vnni\n"
_HASWELL = "vendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 avx avx2 fma bmi2\n"
_ALDER_LAKE = "vendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 avx2 avx_vnni\n"
_NEOVERSE = "processor\t: 0\nFeatures\t: fp asimd crc32 atomics asimdhp asimdrdm asimddp\n"
_CORTEX = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull crc32\n"


@pytest.mark.parametrize(
    ("text", "fast"),
    [(_ZEN4, True), (_HASWELL, False), (_ALDER_LAKE, True), (_NEOVERSE, True), (_CORTEX, False), ("", False)],
)
def test_dot_products_are_told_by_the_names_that_linux_gives_them(
    tmp_path: Path, text: str, fast: bool
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(text)
    if platform.system() != "Linux":
        pytest.skip("asks Linux")
    assert multiplies_int8(tmp_path) is fast


def test_where_the_system_does_not_tell_there_are_none(tmp_path: Path) -> None:
    if platform.system() != "Linux":
        pytest.skip("asks Linux")
    assert not multiplies_int8(tmp_path)
