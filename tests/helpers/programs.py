"""Runs programs that must succeed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def run(command: Iterable[object], folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=240, **more
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done
