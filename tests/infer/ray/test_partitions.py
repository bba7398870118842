"""A partition's rows are those of one machine, written once and whole. Needs no Ray."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer import BackendError, Bundle
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.options import ScoringOptions
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.partitions import Report, read_report, score_partition
from dgqa_infer.ray.plan import make_plan
from dgqa_infer.ray.run import finished
from dgqa_infer.ray.settings import Settings
from dgqa_infer.results import Result
from dgqa_infer.setup import setup_of

PART = "part-000-0000000"


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> Iterator[Pipeline[Result]]:
    with Settings.of(Bundle.load(tiny_bundle), ScoringOptions(device="cpu")).open() as (_, pipeline):
        yield pipeline


@pytest.fixture
def destination(tmp_path: Path, photos: Path) -> Destination:
    (photos / "torn.webp").write_bytes(b"RIFF")
    destination = Destination(str(tmp_path / "rows"))
    make_plan([str(photos)], InputFinder(), destination, actors=1)
    return destination


def test_its_rows_are_those_of_one_machine(
    destination: Destination,
    pipeline: Pipeline[Result],
    photos: Path,
    tiny_bundle: Path,
    cli: Callable[..., Any],
) -> None:
    made_by = {"node": "here", "setup": setup_of(ScoringOptions(device="cpu"))}
    report = score_partition(PART, destination, "jsonl", pipeline, made_by=made_by)
    alone = cli("score", photos, "--model", tiny_bundle, "--device", "cpu", "--workers", 1)
    rows = [json.loads(line) for line in (destination.read(f"{PART}.jsonl") or b"").splitlines()]
    assert rows == alone.rows
    assert (report.scored, report.failed.total(), report.rows, report.node) == (9, 1, 10, "here")


def test_its_parquet_file_is_that_of_one_machine(
    destination: Destination,
    pipeline: Pipeline[Result],
    photos: Path,
    tiny_bundle: Path,
    cli: Any,
    tmp_path: Path,
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    score_partition(PART, destination, "parquet", pipeline)
    alone = tmp_path / "alone.parquet"
    cli("score", photos, "--model", tiny_bundle, "--device", "cpu", "--workers", 1, "-o", alone)
    assert parquet.read_table(f"{destination.name}/{PART}.parquet").equals(parquet.read_table(alone))


def test_what_is_done_is_not_done_again(
    destination: Destination, pipeline: Pipeline[Result], photos: Path
) -> None:
    first = score_partition(PART, destination, "jsonl", pipeline)
    rows = destination.read(f"{PART}.jsonl")
    for path in photos.glob("*/*"):
        path.unlink()
    assert score_partition(PART, destination, "jsonl", pipeline) == first
    assert destination.read(f"{PART}.jsonl") == rows


def test_a_partition_whose_model_fails_leaves_no_rows_and_no_report(destination: Destination) -> None:
    class Broken:
        def run(self, _: object) -> Iterator[Any]:
            raise BackendError("the device is gone")
            yield

    with pytest.raises(BackendError, match="the device is gone"):
        score_partition(PART, destination, "jsonl", Broken())  # type: ignore[arg-type]
    assert read_report(destination, PART) is None
    assert destination.names() == ["_dgqa"]


def test_a_report_is_read_as_it_was_written() -> None:
    report = Report("part", scored=2, seconds=1.5, node="n", backend="b", device="cpu")
    report.count({"error": {"code": "empty"}})
    report.count({"score": 1, "votes": [3, 1, 2, 0]})
    assert Report.from_json(report.as_json()) == report
    assert report.ballots == {"0,1,2,3": 1}


def test_partitions_whose_store_was_out_of_reach_are_done_again(
    destination: Destination, pipeline: Pipeline[Result]
) -> None:
    # Nothing answers at a port of no service.
    named = ["http://127.0.0.1:9/a.jpg", "gone.jpg"]
    plan = make_plan(named, InputFinder(), destination, actors=1, largest=1)
    for name in plan.partitions:
        score_partition(name, destination, "jsonl", pipeline, made_by={"setup": "1"})
    assert failures(finished(plan, destination, "1", False)) == [{"unreadable": 1}, {"not_found": 1}]
    assert failures(finished(plan, destination, "2", False)) == [{"unreadable": 1}, {"not_found": 1}]
    assert failures(finished(plan, destination, "1")) == [{"not_found": 1}]
    assert read_report(destination, next(plan.partitions)) is None


def test_partitions_that_failed_under_another_setup_are_done_again(
    destination: Destination, pipeline: Pipeline[Result], photos: Path
) -> None:
    named = ["gone.jpg", str(next(photos.rglob("*.png")))]
    plan = make_plan(named, InputFinder(), destination, actors=1, largest=1)
    for name in plan.partitions:
        score_partition(name, destination, "jsonl", pipeline, made_by={"setup": "1"})
    assert failures(finished(plan, destination, "1")) == [{"not_found": 1}, {}]
    assert failures(finished(plan, destination, "2")) == [{}]


def failures(reports: list[Report]) -> list[dict[str, int]]:
    return [dict(report.failed) for report in reports]
