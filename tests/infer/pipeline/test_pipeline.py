"""Files through worker processes: what one file does to its worker costs that file and no other."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import commented

from dgqa_infer import BackendError, DecodeLimits, ImageError, Scorer, UsageError
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.options import WorkerLimits
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.results import Failure, Score


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Iterator[Scorer]:
    with Scorer(tiny_bundle, device="cpu", batch_size=2) as scorer:
        yield scorer


def run(scorer: Scorer, paths: Any, **options: Any) -> list[Outcome[Any]]:
    with Pipeline(scorer, **({"workers": 2} | options)) as pipeline:
        return list(pipeline.run(paths))


def said(outcomes: list[Outcome[Any]]) -> list[Any]:
    """The score of each, rounded, or its code."""
    return [
        round(outcome.result.score) if isinstance(outcome.result, Score) else outcome.result.code
        for outcome in outcomes
    ]


def own_scores(paths: list[str]) -> list[int]:
    return [round(15 * number / 2.55) for number in range(len(paths))]


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 5), (3, 1)])
def test_each_input_has_its_own_score_in_order(
    tiny_bundle: Path, tmp_path: Path, workers: int, batch_size: int
) -> None:
    paths = commented(tmp_path / "photos", *[""] * 12)
    with (
        Scorer(tiny_bundle, device="cpu", batch_size=batch_size) as scorer,
        Pipeline(scorer, workers=workers) as pipeline,
    ):
        outcomes = list(pipeline.run(paths))
        backwards = list(pipeline.run(paths[::-1]))
    assert [outcome.result.path for outcome in outcomes] == paths
    assert said(outcomes) == own_scores(paths)
    assert [outcome.row() for outcome in backwards[::-1]] == [outcome.row() for outcome in outcomes]


def test_a_corrupt_file_between_good_ones_has_an_error_and_no_score(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "", "", "")
    Path(paths[1]).write_bytes(Path(paths[1]).read_bytes()[:300])
    scores = own_scores(paths)
    assert said(run(scorer, paths)) == [scores[0], "truncated", scores[2]]


@pytest.mark.usefixtures("bad_decoder")
def test_a_file_that_ends_its_worker_is_marked_and_its_neighbours_have_their_scores(
    scorer: Scorer, tmp_path: Path
) -> None:
    bad = {
        "SEGV": ("crashed", "decoding it ended 2 processes (SIGSEGV); it is not tried again"),
        "KILL": ("crashed", "SIGKILL, perhaps for want of memory"),
        "QUIT": ("crashed", "exit code 3"),
        "BUG": ("crashed", "decoding it failed (KeyError: 'surprise')"),
        "BOMB": ("too_large", "decoding it needs more memory than there is"),
        "HANG": ("timed_out", "it was not decoded within 2 s"),
    }
    paths = commented(tmp_path / "photos", "", *(comment for each in bad for comment in (each, "")))
    outcomes = run(scorer, paths, limits=WorkerLimits(seconds=2, memory_bytes=2_000_000_000))
    assert said(outcomes)[::2] == own_scores(paths)[::2]
    for (code, words), outcome, path in zip(bad.values(), outcomes[1::2], paths[1::2], strict=True):
        assert isinstance(outcome.result, Failure)
        assert outcome.result.code == code
        assert words in outcome.result.message
        assert outcome.size == Path(path).stat().st_size


@pytest.mark.usefixtures("bad_decoder")
def test_a_file_is_given_a_second_worker_when_the_first_one_dies(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "", "ONCE", "")
    assert said(run(scorer, paths)) == own_scores(paths)


def children(command: bytes = b"dgqa_infer.pipeline.worker_main") -> list[int]:
    """Processes of ours that decode."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and command in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


@needs_proc
@pytest.mark.usefixtures("bad_decoder")
def test_workers_that_are_killed_from_outside_are_replaced(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", *["SLOW"] * 8)
    outcomes = []
    with Pipeline(scorer, workers=2) as pipeline:
        for outcome in pipeline.run(paths):
            if not outcomes:
                for child in children():
                    os.kill(child, signal.SIGKILL)
            outcomes.append(outcome)
    assert said(outcomes) == own_scores(paths)


@needs_proc
def test_no_process_outlives_the_pipeline(scorer: Scorer, tmp_path: Path) -> None:
    with Pipeline(scorer, workers=2) as pipeline:
        next(pipeline.run(commented(tmp_path / "photos", *[""] * 6)))
        assert children()
    assert not children()


def test_workers_that_cannot_start_are_told_of_with_the_reason(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho no memory left >&2\nexit 7\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(BackendError, match=r"cannot start \(exit code 7: no memory left\)"):
        run(scorer, commented(tmp_path / "photos", ""))


def test_a_module_in_the_folder_that_one_works_in_is_not_imported(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert said(run(scorer, commented(tmp_path / "photos", ""))) == [0]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.usefixtures("bad_decoder")
def test_large_photographs_take_their_turns_and_small_ones_do_not_wait(
    scorer: Scorer, tmp_path: Path
) -> None:
    # 10 MP each: there is room for one at a time.
    paths = commented(tmp_path / "photos", *["SLOW"] * 4, side=3200)
    began = time.monotonic()
    assert said(run(scorer, paths, limits=WorkerLimits(total_bytes=600_000_000))) == own_scores(paths)
    assert time.monotonic() - began > 4 * 0.3


def test_a_photograph_for_which_there_is_never_room_is_too_large_and_others_are_not(
    scorer: Scorer, tmp_path: Path
) -> None:
    large, small = (commented(tmp_path / name, "", side=side)[0] for name, side in (("a", 5000), ("b", 40)))
    outcomes = run(scorer, [large, small], limits=WorkerLimits(total_bytes=600_000_000))
    assert said(outcomes) == ["too_large", 0]
    assert isinstance(outcomes[0].result, Failure)
    assert "--limit-total-memory leaves it" in outcomes[0].result.message


def test_too_little_memory_for_the_processes_themselves_is_a_usage_error(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="10 workers take"):
        Pipeline(scorer, workers=10, limits=WorkerLimits(total_bytes=600_000_000))


def test_a_batch_whose_crops_do_not_fit_is_a_usage_error_and_costs_no_file(tiny_bundle: Path) -> None:
    with (
        Scorer(tiny_bundle, device="cpu", batch_size=100_000_000) as scorer,
        pytest.raises(UsageError, match="smaller --batch-size"),
    ):
        Pipeline(scorer, workers=1)


def test_the_places_for_crops_are_no_part_of_what_a_file_may_take(tiny_bundle: Path, tmp_path: Path) -> None:
    """A batch of a hundred thousand had every file of its run fail as "too_large"."""
    (path,) = commented(tmp_path / "photos", "")
    limits = WorkerLimits(memory_bytes=2_000_000_000, total_bytes=20_000_000_000)
    with Scorer(tiny_bundle, device="cpu", batch_size=100_000) as scorer:
        assert said(run(scorer, [path], workers=1, limits=limits)) == [0]


def test_the_limits_of_decoding_are_kept_in_workers(tiny_bundle: Path, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "")
    with Scorer(tiny_bundle, device="cpu", limits=DecodeLimits(pixels=1000)) as scorer:
        assert said(run(scorer, paths)) == ["too_large"]


def test_errors_that_come_instead_of_paths_keep_their_place(scorer: Scorer, tmp_path: Path) -> None:
    (path,) = commented(tmp_path / "photos", "")
    error = ImageError("unreadable", "this folder cannot be listed", "folder")
    outcomes = run(scorer, [error, path, error])
    assert said(outcomes) == ["unreadable", 0, "unreadable"]
    assert outcomes[0].result.path == "folder"


def test_no_inputs_no_outcomes(scorer: Scorer) -> None:
    assert run(scorer, []) == []


def test_an_error_in_the_source_of_names_comes_after_what_it_named(scorer: Scorer, tmp_path: Path) -> None:
    (path,) = commented(tmp_path / "photos", "")

    def names() -> Iterator[str]:
        yield path
        raise RuntimeError("the list is broken")

    with Pipeline(scorer, workers=1) as pipeline:
        outcomes = pipeline.run(names())
        assert said([next(outcomes)]) == [0]
        with pytest.raises(RuntimeError, match="list is broken"):
            next(outcomes)


def test_a_slow_source_of_names_does_not_hold_up_what_is_known(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "", "")
    go_on = threading.Event()

    def names() -> Iterator[str]:
        yield paths[0]
        go_on.wait(60)
        yield paths[1]

    with Pipeline(scorer, workers=1) as pipeline:
        outcomes = pipeline.run(names())
        first = next(outcomes)
        go_on.set()
        assert said([first, *outcomes]) == own_scores(paths)


def test_stopping_finishes_what_is_in_hand_and_takes_no_more(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "") * 200
    with Pipeline(scorer, workers=1) as pipeline:
        outcomes = []
        for outcome in pipeline.run(paths):
            outcomes.append(outcome)
            pipeline.stop()
    assert 1 <= len(outcomes) < 30
    assert set(said(outcomes)) == {0}


def test_a_model_that_fails_ends_the_run_with_its_error(tiny_bundle: Path, tmp_path: Path) -> None:
    scorer = Scorer(tiny_bundle, device="cpu")
    scorer.close()
    with pytest.raises(BackendError, match="closed"):
        run(scorer, commented(tmp_path / "photos", ""))


def test_wrong_arguments_are_refused(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="0 workers"):
        Pipeline(scorer, workers=0)
    with pytest.raises(UsageError, match="seconds is 0"):
        WorkerLimits(seconds=0)


def test_rows_know_size_and_time_of_their_files(scorer: Scorer, tmp_path: Path) -> None:
    (path,) = commented(tmp_path / "photos", "")
    os.utime(path, (0, 1_600_000_000.5))
    good, missing = run(scorer, [path, str(tmp_path / "none.jpg")])
    assert (good.row()["size"], good.row()["mtime"]) == (Path(path).stat().st_size, 1_600_000_000.5)
    assert (missing.row()["size"], missing.row()["mtime"]) == (None, None)


def test_time_limits_do_not_rest_on_a_clock_that_can_be_set() -> None:
    from dgqa_infer.pipeline import pipeline

    for path in sorted(Path(pipeline.__file__).parent.glob("*.py")):
        source = path.read_text()
        assert "time.time(" not in source, path
        assert "datetime.now(" not in source, path


@pytest.mark.usefixtures("bad_decoder")
def test_photographs_in_memory_are_decoded_as_files_are(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "", "QUIT", "", "HANG", "")
    data = [Path(path).read_bytes() for path in paths]
    data[2] = data[2][:300]
    inputs = [Encoded(data[0], "first"), *map(Encoded, data[1:]), paths[4]]
    outcomes = run(scorer, inputs, limits=WorkerLimits(seconds=2))
    scores = own_scores(paths)
    assert said(outcomes) == [scores[0], "crashed", "truncated", "timed_out", scores[4], scores[4]]
    assert [outcome.result.path for outcome in outcomes] == ["first", *[None] * 4, paths[4]]
    assert [outcome.size for outcome in outcomes[:5]] == list(map(len, data))
    assert {outcome.mtime for outcome in outcomes[:5]} == {None}


def test_a_photograph_in_memory_has_the_limits_of_a_file(tiny_bundle: Path) -> None:
    with Scorer(tiny_bundle, device="cpu", limits=DecodeLimits(file_bytes=100)) as scorer:
        found = run(scorer, [Encoded(b""), Encoded(bytes(101)), Encoded(bytes(100))])
    assert said(found) == ["empty", "too_large", "unsupported"]
    assert [outcome.size for outcome in found] == [0, 101, 100]


@pytest.mark.usefixtures("bad_decoder")
def test_an_outcome_need_not_wait_for_a_slower_one(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "HANG", "", "", "")
    with Pipeline(scorer, workers=2, limits=WorkerLimits(seconds=5)) as pipeline:
        found = list(pipeline.as_completed(paths))
    assert [index for index, _ in found] == [1, 2, 3, 0]
    assert said([outcome for _, outcome in found]) == [*own_scores(paths)[1:], "timed_out"]


def test_a_run_that_was_left_is_not_mixed_with_the_next(scorer: Scorer, tmp_path: Path) -> None:
    paths = commented(tmp_path / "photos", "", "", "")
    with Pipeline(scorer, workers=1) as pipeline:
        left = pipeline.run(paths)
        next(left)
        left.close()
        with pytest.raises(RuntimeError, match="left before its end"):
            next(pipeline.run(paths))
