"""Folders of photographs that a representation is packed from."""

from __future__ import annotations

from pathlib import Path


def empty_sources(folder: Path) -> dict[str, Path]:
    """Two new folders in `folder`, by the kind of the photographs that they are for."""
    sources = {kind: folder / kind for kind in ("pristine", "authentic")}
    for source in sources.values():
        source.mkdir()
    return sources
