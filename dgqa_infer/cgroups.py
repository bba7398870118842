"""What Linux's control groups, and so containers, let this process have: a share of the cores, and memory.

A process in a container sees all of the machine's cores and memory, and is slowed down or killed where it
takes more than its share. Groups lie within groups, and the least of their limits holds.

Sources: the kernel's Documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Version 1 says "no limit" with the largest number of pages that there can be.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class Limits:
    """What the groups of this process leave it.

    Attributes:
        cores: how many whole cores' time; None where there is no limit.
        memory: in bytes; None where there is no limit.
    """

    cores: int | None = None
    memory: int | None = None


def limits(root: Path = Path("/")) -> Limits:
    """Read the limits of this process.

    Args:
        root: of the file system that has `proc` and `sys`.

    Returns:
        None for each where there is no control group, or it cannot be read.
    """
    shares: list[float] = []
    memory: list[int] = []
    for controllers, group in _groups(root):
        if "cpu" in controllers:
            shares += _share(group)
        if "memory" in controllers:
            memory += _memory(group)
    return Limits(
        # With one and a half cores, two processes are at work for three quarters of the time.
        cores=max(1, math.ceil(min(shares))) if shares else None,
        memory=min(memory) if memory else None,
    )


def _groups(root: Path) -> Iterator[tuple[set[str], Path]]:
    """The folders of this process's groups and of those around them, with their controllers."""
    mine = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        # Version 2 has one line without names, and every controller.
        mine.update(dict.fromkeys(names.split(","), path))
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if len(left) < 5 or len(right) < 3 or right[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = {"cpu", "memory"} if right[0] == "cgroup2" else set(right[2].split(","))
        path = next(
            (mine[name] for name in ([""] if right[0] == "cgroup2" else controllers) if name in mine), "/"
        )
        top = root / left[4].lstrip("/")
        group = top / _within(path, left[3])
        while True:
            yield controllers, group
            if group == top or top not in group.parents:
                break
            group = group.parent


def _within(path: str, mounted: str) -> str:
    """A group's path as it is seen below a mount that may show only a part of the groups."""
    path, mounted = path.strip("/"), mounted.strip("/")
    if not mounted:
        inside = path
    elif path == mounted or path.startswith(f"{mounted}/"):
        inside = path[len(mounted) :].strip("/")
    else:
        # A container with other names than the machine's: what is mounted is its own group.
        inside = ""
    return "" if ".." in inside.split("/") else inside


def _share(group: Path) -> list[float]:
    """Cores' time that a group has, of either version."""
    words = _words(group / "cpu.max") or [
        *_words(group / "cpu.cfs_quota_us"),
        *_words(group / "cpu.cfs_period_us"),
    ]
    with contextlib.suppress(ValueError, ZeroDivisionError):
        quota, period = map(int, words)
        if quota > 0:
            return [quota / period]
    return []


def _memory(group: Path) -> list[int]:
    """Bytes that a group may have, of either version."""
    found = []
    # Above "high" a group is not killed, but slowed down until it stands still.
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        with contextlib.suppress(ValueError):
            found += [int(word) for word in _words(group / name) if word != "max"]
    return [limit for limit in found if 0 < limit < _NO_LIMIT]


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
