"""Files that rows name, found again."""

from __future__ import annotations

from pathlib import Path

from dgqa_infer.inputs.remote import is_remote


def local_file(path: str, root: Path | None) -> str | None:
    """The file that a row names, if it is one on this machine, and in the folder if one is given.

    Args:
        path: as the row has it.
        root: folder that the path starts in, and outside of which nothing is named; None for the current
            folder, and for any path.
    """
    if is_remote(path):
        return None
    try:
        file = Path(path) if root is None else (root / path).resolve()
        if root is not None and not file.is_relative_to(root.resolve()):
            return None
        return str(file) if file.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
