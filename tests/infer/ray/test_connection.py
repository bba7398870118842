"""What is no cluster, or another one, is named in one sentence. Without any cluster, but for the one test."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of this process may have been."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


def test_an_address_that_does_not_answer_is_named(cli: Any, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        ran = cli("score-cluster", tmp_path, f"--address={address}", "-o", tmp_path / "rows")
    assert ran.code == 2
    assert f"no Ray cluster answers at {address}" in ran.stderr
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:10001", "ray://127.0.0.1:10001 is for Ray's client"),
        ("somewhere", "'somewhere' is no address of a cluster"),
        ("host:99999", "'host:99999' is no address of a cluster"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_named(cli: Any, tmp_path: Path, address: str, said: str) -> None:
    ran = cli("score-cluster", tmp_path, f"--address={address}", "-o", tmp_path / "rows")
    assert (ran.code, said in ran.stderr) == (2, True)


def test_what_answers_and_is_no_cluster_is_given_up(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would wait for a minute; here in the place of Ray."""
    import time

    import ray

    from dgqa_infer.ray import connection

    monkeypatch.setattr(connection, "_INIT_SECONDS", 0.2)
    monkeypatch.setattr(ray, "init", lambda **_: time.sleep(2))
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        ran = cli("score-cluster", tmp_path, f"--address={address}", "-o", tmp_path / "rows")
    assert ran.code == 2
    assert f"what answers at {address} is no Ray cluster" in ran.stderr


@pytest.mark.ray
def test_a_cluster_of_another_version_is_named_with_both(cluster: Any, tmp_path: Path) -> None:
    """Another program, that says of itself that its Ray is older."""
    code = "import ray; ray.__version__ = '2.0.0'; from dgqa_infer.cli.app import main; main()"
    arguments = ["score-cluster", str(tmp_path), f"--address={cluster.address}", "-o", str(tmp_path / "rows")]
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    import ray

    assert ran.returncode == 2
    (said,) = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert f"the Ray cluster at {cluster.address} cannot be used: Version mismatch" in said
    assert "2.0.0" in said
    assert ray.__version__ in said
    assert not (tmp_path / "rows").exists()
