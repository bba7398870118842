"""What several test modules need."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tiny_models", "running_service"]

ROOT = Path(__file__).resolve().parent.parent


SLOW = (
    "attacks",
    "benchmarks",
    "deploy",
    "docs/test_blocks.py",
    "docs/test_schemas.py",
    "examples",
    "export",
    "infer/bench",
    "infer/cli/export",
    "infer/cli/test_adapt.py",
    "infer/cli/test_bench.py",
    "infer/cli/test_compare.py",
    "infer/cli/test_evaluate.py",
    "infer/cli/test_hanging.py",
    "infer/cli/test_isolation.py",
    "infer/cli/test_keys.py",
    "infer/cli/test_outputs.py",
    "infer/cli/test_resume.py",
    "infer/cli/test_score_cluster.py",
    "infer/cli/test_score_process.py",
    "infer/cli/test_select.py",
    "infer/cli/test_surroundings.py",
    "infer/comparison",
    "infer/inputs/test_archives.py",
    "infer/inputs/test_remote.py",
    "infer/outputs/test_html_browser.py",
    "infer/pipeline",
    "infer/ray",
    "infer/service",
    "infer/test_built_in_model.py",
    "infer/test_stable_rows.py",
    "test_packaging.py",
    "training",
    "web",
)
"""What takes seconds a test: folders and modules below this one. `just fast` leaves them out."""


LONG = (
    "benchmarks/test_recovery.py",
    "docs/test_blocks.py::test_what_a_page_tells_to_run_runs[docs/adapting.md]",
    "export/test_representation.py",
    "infer/service/test_under_load.py::test_connections_that_say_nothing_leave_room_for_decoding",
    "training/datasets/test_reproduce.py::test_resnet_50_itself_is_trained_and_evaluated",
    "training/representation/test_training.py",
)
"""What takes ten seconds and more: `pytest` alone leaves it out, `pytest -m long` runs it, and so does CI."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).resolve().parent
    slow = tuple(here / each for each in SLOW)
    for item in items:
        if any(item.path.is_relative_to(each) for each in slow):
            item.add_marker("slow")
        if item.nodeid.removeprefix("tests/").startswith(LONG):
            item.add_marker("long")


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
