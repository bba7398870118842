"""Two nodes give the rows of one machine, whatever happens to a file, an actor or a node meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.partitions import Report

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}


def jpegs(folder: Path, *comments: str) -> Path:
    """Photographs of ascending grey, each with its comment."""
    folder.mkdir()
    for number, comment in enumerate(comments):
        grey = number * 255 // len(comments)
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(folder / f"{number:03d}.jpg", comment=comment)
    return folder


@pytest.fixture(scope="module")
def alone(cli: Callable[..., Any], tiny_bundle: Path) -> Callable[..., list[dict[str, Any]]]:
    """The rows of one machine."""
    fixed = ["--model", tiny_bundle, "--device", "cpu", "--workers", 1]
    return lambda *arguments: cli("score", *fixed, *arguments).rows


@pytest.fixture(scope="module")
def together(cli: Callable[..., Any], tiny_bundle: Path, cluster: Any) -> Callable[..., Any]:
    """A run on the cluster, to a folder."""
    fixed = ["--model", tiny_bundle, "--device", "cpu", "--cores", 1, f"--address={cluster.address}"]
    return lambda to, *arguments: cli("score-cluster", *fixed, "-o", to, *arguments)


def rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("part-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """The same rows in the same order; qualities to 1e-4, which is what is promised of any two runs.

    Failures say which limits they came under, and the cluster has others.
    """
    for row in (*found, *expected):
        assert "error" not in row or row["error"].pop("setup")
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    tolerances = {"score": 0.01, "raw": 1e-4, "spread": 1e-3}
    for one, other in zip(found, expected, strict=True):
        assert {name: one[name] for name in one if name not in tolerances} == {
            name: other[name] for name in other if name not in tolerances
        }
        for name, tolerance in tolerances.items():
            assert one.get(name) == pytest.approx(other.get(name), abs=tolerance)


def reports(folder: Path) -> list[Report]:
    return [Report.from_json(path.read_bytes()) for path in sorted((folder / "_dgqa/done").iterdir())]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory, make_photo: Any) -> list[Path]:
    """Good ones and bad ones, a file that is not there, and two that wait until both nodes are at work."""
    folder = tmp_path_factory.mktemp("all")
    for number in range(9):
        make_photo(
            folder / "abc"[number // 3] / f"{number}.{('jpg', 'png', 'webp')[number % 3]}", seed=number
        )
    (folder / "torn.jpg").write_bytes((folder / "a" / "0.jpg").read_bytes()[:300])
    (folder / "empty.png").touch()
    odd = jpegs(folder / "odd", "BOTH", "", "", "BOTH", "", "SEGV", "", "ACTOR", "")
    return [odd, folder / "a", folder, folder / "gone.jpg"]


@pytest.fixture(scope="module")
def first(together: Any, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run on them, three photographs a partition; its folder, and what it said."""
    folder = tmp_path_factory.mktemp("first")
    ran = together(folder / "rows", *photographs, *LINES, "--summary", folder / "summary.json")
    return folder, ran


LINES = ("-f", "jsonl", "--partition", 3, "--limit-time", "100s")


def test_two_nodes_give_the_rows_of_one_machine_though_a_file_crashes_its_decoder_and_one_its_actor(
    first: Any, photographs: list[Path], alone: Callable[..., Any], marks: Path
) -> None:
    folder, ran = first
    assert (marks / "killed").stat().st_mtime > 0, ran.stderr
    expected = alone(*photographs)
    # The stand-in for a decoder that dies of this file is on the nodes alone.
    (crashed,) = [row for row in rows(folder / "rows") if row["path"].endswith("odd/005.jpg")]
    assert crashed["error"]["code"] == "crashed"
    assert "SIGSEGV" in crashed["error"]["message"]
    assert_same(
        [row for row in rows(folder / "rows") if row != crashed],
        [row for row in expected if row["path"] != crashed["path"]],
    )
    assert len(rows(folder / "rows")) == len(expected)
    assert ran.code == 3


def test_its_summary_tells_failures_by_code_and_what_each_node_did(first: Any) -> None:
    folder, ran = first
    summary = json.loads((folder / "summary.json").read_text())
    failed = {"crashed": 1, "truncated": 1, "empty": 1, "not_found": 1}
    assert (summary["scored"], summary["failed"]) == (17, failed)
    assert summary["passed_over"] == {"duplicate": 12}
    assert len(summary["nodes"]) == 2
    assert sum(node["images"] for node in summary["nodes"].values()) == 21
    assert ran.stderr.count("images/s") == 3


def test_resume_does_what_is_left_and_nothing_else(
    first: Any, together: Callable[..., Any], photographs: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(first[0] / "rows", tmp_path / "rows")
    done = tmp_path / "rows/_dgqa/done"
    kept, lost, torn = sorted((tmp_path / "rows").glob("part-*.jsonl"))[-3:]
    lost.unlink()
    torn.write_bytes(torn.read_bytes()[:20])
    for path in (lost, torn):
        (done / f"{path.stem}.json").unlink()
    before = kept.stat().st_mtime_ns
    refused = together(tmp_path / "rows", *photographs, *LINES)
    assert (refused.code, "continue it with --resume" in refused.stderr) == (2, True)
    ran = together(tmp_path / "rows", *photographs, *LINES, "--resume", "--keep-failed")
    assert "7 partitions, 2 to do" in ran.stderr
    assert "15 done by an earlier run" in ran.stderr
    assert rows(tmp_path / "rows") == rows(first[0] / "rows")
    assert kept.stat().st_mtime_ns == before


def test_when_all_is_done_resume_says_so(first: Any, together: Any, photographs: list[Path]) -> None:
    ran = together(first[0] / "rows", *photographs, *LINES, "--resume", "--keep-failed")
    assert "7 partitions, 0 to do" in ran.stderr
    assert (ran.code, "21 done by an earlier run, 4 of them without a score" in ran.stderr) == (3, True)


def test_what_crashed_is_tried_again_by_resuming(
    first: Any, together: Any, photographs: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(first[0] / "rows", tmp_path / "rows")
    ran = together(tmp_path / "rows", *photographs, *LINES, "--resume")
    assert "7 partitions, 1 to do" in ran.stderr
    assert "1 failed (1 crashed)" in ran.stderr
    assert len(rows(tmp_path / "rows")) == len(rows(first[0] / "rows"))


def test_a_node_that_dies_in_mid_run_costs_no_row_and_repeats_none(
    together: Callable[..., Any], cli: Any, tiny_bundle: Path, cluster: Any, tmp_path: Path
) -> None:
    """Parquet files, which are then one table with the schema of one machine."""
    import pyarrow.dataset
    import pyarrow.parquet

    slow = jpegs(tmp_path / "slow", *["SLOW"] * 48)
    done = tmp_path / "rows/_dgqa/done"
    doomed = cluster.add_node(**NODE)
    name = doomed.node_id[:6]

    def kill() -> None:
        """When the node has done a partition, it has the next in its hands."""
        until = time.monotonic() + 100
        while time.monotonic() < until:
            if done.is_dir() and any(name in report.node for report in reports(tmp_path / "rows")):
                break
            time.sleep(0.02)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    ran = together(tmp_path / "rows", slow, "--partition", 3)
    killer.join()
    assert ran.code == 0, ran.stderr
    one = tmp_path / "one.parquet"
    cli("score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, slow, "-o", one)
    found = pyarrow.dataset.dataset(tmp_path / "rows").to_table()
    expected = pyarrow.parquet.read_table(one)
    assert found.schema.equals(expected.schema)
    assert found["path"].equals(expected["path"])
    assert np.abs(np.subtract(found["raw"], expected["raw"])).max() < 1e-4
    by_node = [report.node for report in reports(tmp_path / "rows")]
    assert len(by_node) == 16
    assert any(name in node for node in by_node)
    assert not all(name in node for node in by_node)


def test_nothing_to_score_is_said(together: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = together(tmp_path / "rows", tmp_path / "empty")
    assert (ran.code, "no photographs were found" in ran.stderr) == (4, True)


def test_photographs_that_a_node_does_not_see_are_named_and_the_destination_stays_free(
    together: Callable[..., Any], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a node without the shared file system; all nodes of this cluster have it."""
    from dgqa_infer.ray import connection

    monkeypatch.setattr(connection, "_look", _blind)
    ran = together(tmp_path / "rows", photos)
    assert ran.code == 2
    assert f"node 10.0.0.9 does not see {photos}" in ran.stderr
    assert not (tmp_path / "rows/_dgqa/run.json").exists()


def _blind(destination: Destination, files: list[str]) -> dict[str, Any]:
    from importlib.metadata import version

    return {"node": "10.0.0.9", "version": version("dgqa-infer"), "missing": files[:1]}


@pytest.fixture
def driver(cluster: Any) -> Any:
    """Ray, connected to the cluster."""
    import ray

    return ray


def test_a_dataset_of_paths_is_given_scores_and_keeps_its_columns(
    driver: Any, alone: Callable[..., Any], photos: Path, tiny_bundle: Path
) -> None:
    from dgqa_infer.ray import score_dataset

    (photos / "empty.png").touch()
    paths = sorted(str(path) for path in photos.rglob("*.*"))
    expected = {row["path"]: row for row in alone(photos)}
    dataset = driver.data.from_items([{"path": path, "label": len(path)} for path in paths])
    scored = score_dataset(dataset, model=tiny_bundle, device="cpu", explain=True).take_all()
    assert sorted(row["path"] for row in scored) == paths
    for row in scored:
        want = expected[row["path"]]
        assert row["label"] == len(row["path"])
        assert row["raw"] == pytest.approx(want.get("raw"), abs=1e-4)
        assert row["error_code"] == want.get("error", {}).get("code")
        assert (row["size"], row["model"]) == (want["size"], want["model"])
        assert (row["distortions"] is None) == ("error" in want)


def test_decoding_and_inference_in_stages_of_their_own_give_the_same_scores(
    driver: Any, photos: Path, tiny_bundle: Path
) -> None:
    from dgqa_infer import Scorer
    from dgqa_infer.ray import score_dataset

    encoded = {path.name: path.read_bytes() for path in photos.rglob("*.*")}
    items = [{"name": name, "bytes": data} for name, data in {**encoded, "bad": b"no picture"}.items()]
    dataset = driver.data.from_items([*items, {"name": "none", "bytes": None}])
    scored = score_dataset(
        dataset, model=tiny_bundle, column="bytes", prefix="dgqa_", device="cpu", separate_decoding=True
    )
    found = {row["name"]: row for row in scored.take_all()}
    assert found["none"]["dgqa_error_code"] == "not_found"
    assert found["bad"]["dgqa_error_code"] == "unsupported"
    with Scorer(tiny_bundle, device="cpu") as scorer:
        for name, data in encoded.items():
            row = found[name]
            assert row["dgqa_raw"] == pytest.approx(scorer.score(data).raw, abs=1e-4)
            assert (row["dgqa_size"], row["dgqa_mtime"]) == (len(data), None)
            assert row["dgqa_error_code"] is None
            assert row["bytes"] == data
    assert not [column for column in found["none"] if column.startswith("_dgqa")]


def test_photographs_that_are_more_than_the_object_store_stream_through_it(
    driver: Any, tmp_path: Path, tiny_bundle: Path
) -> None:
    from dgqa_infer.ray import score_dataset

    folder = tmp_path / "large"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "0.png", compress_level=0)
    for number in range(1, 150):
        os.link(folder / "0.png", folder / f"{number}.png")
    # Together they are more than the stores of both nodes have room for.
    assert 150 * (folder / "0.png").stat().st_size > 1.05 * 2 * NODE["object_store_memory"]
    files = driver.data.read_binary_files(str(folder), include_paths=True)
    scored = score_dataset(files, model=tiny_bundle, column="bytes", device="cpu").drop_columns(["bytes"])
    found = scored.take_all()
    assert len({row["path"] for row in found}) == 150
    assert [row["error_message"] for row in found if row["error_code"] is not None] == []


def test_a_column_that_is_missing_or_in_the_way_is_named(driver: Any, tiny_bundle: Path) -> None:
    from dgqa_infer import UsageError
    from dgqa_infer.ray import score_dataset

    dataset = driver.data.from_items([{"file": "a.jpg", "score": 1}])
    with pytest.raises(UsageError, match="no column 'path'; it has 'file', 'score'"):
        score_dataset(dataset, model=tiny_bundle)
    with pytest.raises(UsageError, match="a column 'score' already"):
        score_dataset(dataset, model=tiny_bundle, column="file")
