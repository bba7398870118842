"""What several test modules need."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tiny_models"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The photographs and label tables that are not part of the repository."""
    data = ROOT.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the shared photographs and labels are not beside this checkout")
    return data
