"""`dgqa-infer score` in this process: rows, formats, exit codes, what is said to whom."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from PIL import Image

from dgqa_infer.backends import gpu


@pytest.fixture
def score(cli: Any, tiny_bundle: Path) -> Any:
    def run(*arguments: object) -> Any:
        return cli("score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, *arguments)

    return run


def paths(ran: Any) -> list[str]:
    return [row["path"] for row in ran.rows]


def even(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), (grey, grey, grey)).save(path)
    return path


def test_a_folder_gives_a_row_a_photograph_and_exit_code_0(
    score: Any, photos: Path, tiny_model_id: str
) -> None:
    ran = score(photos)
    assert ran.code == 0
    assert len(ran.rows) == 9
    assert paths(ran) == sorted(paths(ran))
    assert all(0 <= row["score"] <= 100 and row["model"] == tiny_model_id for row in ran.rows)
    assert list(ran.rows[0]) == [
        *("path", "score", "raw", "spread", "width", "height", "warnings", "model", "size", "mtime"),
    ]
    assert ran.stderr.startswith("9 scored in ")


@pytest.mark.parametrize("options", [("--batch-size", 1), ("--batch-size", 4, "--workers", 2)])
def test_rows_do_not_depend_on_batches_and_workers(
    score: Any, photos: Path, options: tuple[object, ...]
) -> None:
    for one, two in zip(score(photos).rows, score(photos, *options).rows, strict=True):
        assert one["raw"] == pytest.approx(two["raw"], abs=1e-4)
        assert one["path"] == two["path"]


def test_some_that_fail_are_rows_and_exit_code_3(score: Any, photos: Path) -> None:
    (photos / "a" / "bad.jpg").write_bytes(b"")
    ran = score(photos, photos / "none.jpg")
    assert ran.code == 3
    errors = {Path(row["path"]).name: row["error"]["code"] for row in ran.rows if "error" in row}
    assert errors == {"bad.jpg": "empty", "none.jpg": "not_found"}
    assert "9 scored, 2 failed (1 empty, 1 not found)" in ran.stderr


def test_nothing_scored_is_exit_code_4(score: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello")
    ran = score(tmp_path / "none.jpg")
    assert (ran.code, [row["error"]["code"] for row in ran.rows]) == (4, ["not_found"])
    for folder in ("empty", "texts"):
        ran = score(tmp_path / folder)
        assert (ran.code, ran.stdout) == (4, b"")
        assert ran.stderr.startswith("no photographs were found\n")
    assert "1 passed over (1 not an image)" in ran.stderr


def test_every_bad_file_has_its_row(score: Any, tmp_path: Path, make_photo: Any) -> None:
    folder = tmp_path / "odd"
    whole = make_photo(folder / "good.jpg").read_bytes()
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("this is no photograph")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "other.png").write_bytes(whole)
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:  # noqa: PTH123 (a name of bytes)
        file.write(whole)
    (folder / ("x" * 251 + ".jpg")).write_bytes(whole)
    ran = score(folder)
    assert ran.code == 3
    told = {os.fsencode(Path(row["path"]).name): row.get("error", {}).get("code") for row in ran.rows}
    assert told == {
        b"good.jpg": None,
        b"zero.jpg": "empty",
        b"text.jpg": "unsupported",
        b"cut.jpg": "truncated",
        b"other.png": None,
        b"caf\xe9.jpg": None,
        b"x" * 251 + b".jpg": None,
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_is_forbidden_has_its_row(score: Any, photos: Path) -> None:
    (photos / "a" / "0.jpg").chmod(0)
    (photos / "c").chmod(0)
    ran = score(photos)
    (photos / "c").chmod(0o700)
    assert [row["path"] for row in ran.rows if "error" in row] == [f"{photos}/a/0.jpg", f"{photos}/c"]
    assert ran.code == 3


def test_a_gate_that_is_not_met_is_exit_code_1(score: Any, tmp_path: Path) -> None:
    even(tmp_path / "photos" / "bright.png", 255)
    even(tmp_path / "photos" / "dark.png", 51)
    gate = tmp_path / "gate.toml"
    gate.write_text('[[rule]]\nname = "shop"\nminimum_score = 60')
    summary = tmp_path / "summary.json"
    ran = score(tmp_path / "photos", "--gate", gate, "--summary", summary)
    assert ran.code == 1
    assert [row["gate"]["passed"] for row in ran.rows] == [True, False]
    assert ran.rows[1]["gate"]["reasons"] == ["score 20.0 is below 60"]
    assert "gate shop: FAILED: 1 of 2 failed; 0 % allowed" in ran.stderr
    told = json.loads(summary.read_text())
    assert (told["exit_code"], told["gate"]["passed"]) == (1, False)
    gate.write_text("[[rule]]\nminimum_score = 60\nmaximum_share_failed = 0.5")
    assert score(tmp_path / "photos", "--gate", gate).code == 0


def test_a_gate_that_forbids_distortions_has_them_explained(score: Any, tmp_path: Path) -> None:
    # The tiny domain graph calls blue "red eyes".
    Image.new("RGB", (50, 40), (0, 0, 200)).save(tmp_path / "blue.png")
    gate = tmp_path / "gate.toml"
    gate.write_text('[[rule]]\nforbidden = { "red eyes" = 0.5 }')
    ran = score(tmp_path / "blue.png", "--gate", gate)
    assert ran.code == 1
    assert ran.rows[0]["gate"]["reasons"] == ["red eyes 1.00"]
    assert ran.rows[0]["distortions"][0]["name"] == "red eyes"


def test_explanations_are_in_the_rows_when_asked_for(score: Any, photos: Path) -> None:
    assert all("distortions" in row for row in score(photos, "--explain").rows)
    assert not any({"distortions", "attributes"} & set(row) for row in score(photos).rows)


def test_all_probabilities_are_in_the_rows_and_columns_when_all_are_asked_for(
    score: Any, photos: Path, tmp_path: Path
) -> None:
    rows = score("--explain=all", photos).rows
    assert {tuple(row["probabilities"]) for row in rows} == {("pristine", "dust_spots", "red_eyes")}
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in rows)
    table = tmp_path / "rows.csv"
    score(photos, "--explain=all", "-o", table)
    assert table.read_text().splitlines()[0].endswith(",mtime,p_pristine,p_dust_spots,p_red_eyes")
    assert not any("probabilities" in row for row in score("--explain", photos).rows)


def test_explain_takes_no_photograph_for_its_value(score: Any, photos: Path, tmp_path: Path) -> None:
    # Typer's optional value would swallow the path that follows.
    assert len(score("--explain", photos).rows) == 9
    ran = score("--explain=some", photos)
    assert ran.code == 2
    assert "'some' is not one of 'named', 'all'" in ran.stderr


def test_the_summary_adds_up(score: Any, photos: Path, tmp_path: Path) -> None:
    (photos / "notes.txt").write_text("hello")
    (photos / "bad.jpg").touch()
    summary = tmp_path / "summary.json"
    ran = score(photos, photos / "a", "--summary", summary, "--exclude", "*.webp")
    told = json.loads(summary.read_text())
    assert told["inputs"] == len(ran.rows) == told["scored"] + sum(told["failed"].values()) == 7
    assert told["failed"] == {"empty": 1}
    assert told["passed_over"] == {"duplicate": 2, "excluded": 4, "not_an_image": 1}
    assert (told["backend"], told["device"], told["exit_code"]) == ("onnxruntime", "cpu", 3)
    assert told["images_per_second"] > 0


def test_quiet_says_nothing(score: Any, photos: Path) -> None:
    assert score(photos, "--quiet").stderr == ""


@pytest.mark.parametrize("ending", ["csv", "jsonl", "ndjson", "parquet"])
def test_the_ending_of_the_output_says_the_format(
    score: Any, photos: Path, tmp_path: Path, ending: str
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    output = tmp_path / f"rows.{ending}"
    ran = score(photos, "--output", output)
    assert (ran.code, ran.stdout) == (0, b"")
    if ending == "csv":
        found = [row["path"] for row in csv.DictReader(io.StringIO(output.read_text()))]
    elif ending == "parquet":
        from pyarrow import parquet

        found = parquet.read_table(output)["path"].to_pylist()
    else:
        found = [json.loads(line)["path"] for line in output.read_text().splitlines()]
    assert found == paths(score(photos))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["photos", output.name]


def test_formats_on_stdout(score: Any, photos: Path) -> None:
    assert score(photos, "--format", "csv", "-o", "-").stdout.count(b"\n") == 10
    assert b"photograph\n" in score(photos, "-f", "table").stdout


@pytest.mark.parametrize("null", [True, False])
def test_names_come_from_stdin(score: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, null: bool) -> None:
    odd = photos / "with line\nfeed.jpg" if null else photos / "with space.jpg"
    (photos / "a" / "0.jpg").rename(odd)
    reading, writing = os.pipe()
    names = [str(odd), str(photos / "b"), str(photos / "*.jpg")]
    os.write(writing, ("\0" if null else "\n").join(names).encode())
    os.close(writing)
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        ran = score(*(["-0"] if null else []), "-")
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reading)
    assert [Path(path).name for path in paths(ran)] == [odd.name, "3.jpg", "4.png", "5.webp", "*.jpg"]
    assert ran.rows[-1]["error"]["code"] == "not_found"


def test_what_is_done_is_skipped_on_resuming_and_counted(score: Any, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    (photos / "bad.jpg").touch()
    assert score(photos / "a", photos / "bad.jpg", "-o", output).code == 3
    ran = score(photos, "-o", output, "--resume")
    assert "4 done by an earlier run, 1 of them without a score" in ran.stderr
    assert ran.stderr.startswith("6 scored in ")
    # The failure is still one of this set.
    assert ran.code == 3
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == len({row["path"] for row in rows}) == 10


def test_a_photograph_that_changed_is_scored_anew_on_resuming(score: Any, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    photo = even(tmp_path / "photos" / "a.png", 255)
    even(tmp_path / "photos" / "b.png", 51)
    score(tmp_path / "photos", "-o", output)
    even(photo, 0)
    os.utime(photo, (1, 1))
    score(tmp_path / "photos", "-o", output, "--resume")
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {Path(row["path"]).name: round(row["score"]) for row in rows} == {"a.png": 0, "b.png": 20}
    assert len(rows) == 2


def test_the_gate_judges_what_an_earlier_run_scored_too(score: Any, tmp_path: Path) -> None:
    output, gate = tmp_path / "rows.jsonl", tmp_path / "gate.toml"
    gate.write_text("[[rule]]\nminimum_score = 50")
    even(tmp_path / "photos" / "dark.png", 0)
    score(tmp_path / "photos", "-o", output)
    even(tmp_path / "photos" / "bright.png", 255)
    ran = score(tmp_path / "photos", "-o", output, "--resume", "--gate", gate)
    assert ran.code == 1
    assert "1 of 2 failed" in ran.stderr


def test_rows_that_were_paid_for_are_not_overwritten(score: Any, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    score(photos, "-o", output)
    before = output.read_bytes()
    ran = score(photos, "-o", output)
    assert ran.code == 2
    assert "continue it with --resume, or begin anew with --overwrite" in ran.stderr
    assert output.read_bytes() == before


def test_rows_that_an_interrupted_run_left_beside_a_csv_are_taken_up(
    score: Any, photos: Path, tmp_path: Path
) -> None:
    output, log = tmp_path / "rows.csv", tmp_path / "rows.csv.rows.jsonl"
    score(photos / "a", "-o", tmp_path / "part.jsonl")
    (tmp_path / "part.jsonl").rename(log)
    assert score(photos, "-o", output).code == 2
    ran = score(photos, "-o", output, "--resume")
    assert ran.stderr.startswith("6 scored in ")
    assert len(list(csv.DictReader(io.StringIO(output.read_text())))) == 9
    assert not log.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume"], "--resume continues a file"),
        (["--format", "xlsx"], "format 'xlsx' is none of"),
        (["--output", "rows.txt"], "the ending says no format"),
        (["--output", "none/rows.jsonl"], "No such file or directory"),
        (["-0"], "-0 is for a list of names on stdin"),
        (["-"], "must be the only PATH"),
        (["--limit-pixels", "many"], "invalid --limit-pixels 'many': expected e.g. 256MP"),
        (["--limit-file-size", "0"], "invalid --limit-file-size '0': expected e.g."),
        (["--limit-time", "5 parsecs"], "invalid --limit-time '5 parsecs': expected e.g. 30s or 2min"),
        (["--gate", "none.toml"], "none.toml cannot be read"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--frobnicate"], "No such option"),
        (["--batch-size", "0"], "batch-size"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2_in_one_sentence(
    score: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(photos)
    ran = score(photos / "a", *arguments)
    assert ran.code == 2
    assert ran.stdout == b""
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_model_that_is_not_there_is_exit_code_2_with_a_hint(cli: Any, photos: Path) -> None:
    ran = cli("score", "--model", "none", photos)
    assert ran.code == 2
    assert ran.stderr.startswith("error: no model 'none'")
    assert "hint: `dgqa-infer models`" in ran.stderr


def test_limits_have_units(score: Any, photos: Path) -> None:
    ran = score(photos / "a", "--limit-file-size", "1kB", "--limit-pixels", "1MP", "--limit-side", "90px")
    assert {row["error"]["code"] for row in ran.rows} == {"too_large"}
    assert score(photos / "a", "--limit-file-size", "1GiB", "--limit-memory", "2GB").code == 0


def test_a_bug_of_ours_is_exit_code_70(score: Any, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgqa_infer.scorer import Scorer

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Scorer, "predict", broken)
    ran = score(photos)
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.stderr
    assert "please report it" in ran.stderr


def test_where_an_error_came_from_is_shown_on_demand(
    cli: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGQA_DEBUG", "1")
    assert "Traceback" in cli("score", "--model", "none", photos).stderr


def test_a_missing_runtime_is_one_sentence(score: Any, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = score(photos)
    assert ran.code == 2
    assert ran.stderr.splitlines()[0] == "error: ONNX Runtime is not installed: pip install 'dgqa-infer[cpu]'"


def test_version_and_help(cli: Any) -> None:
    from importlib.metadata import version

    assert cli("--version").stdout.decode() == f"dgqa-infer {version('dgqa-infer')}\n"
    assert b"score" in cli("--help").stdout


# The acceptance of the real material


def test_every_odd_file_has_exactly_one_row(score: Any, shared_data: Path) -> None:
    folder = shared_data / "odd_images"
    ran = score(folder, "--include", "*", "--format", "jsonl")
    assert ran.code == 3
    assert paths(ran) == sorted(str(entry) for entry in folder.iterdir())


def test_photographs_of_cameras_are_scored_alike_in_any_order(score: Any, shared_data: Path) -> None:
    folder = shared_data / "photos"
    rows = score(folder, "--format", "jsonl", "--workers", 2).rows
    assert len(rows) == 11
    backwards = score(*sorted(folder.iterdir(), reverse=True), "--batch-size", 3).rows
    for one, two in zip(rows, backwards[::-1], strict=True):
        assert one["path"] == two["path"]
        assert one["raw"] == pytest.approx(two["raw"], abs=1e-4)
    # Those that were held upright are taller than wide, as their EXIF orientation says.
    upright = {Path(row["path"]).stem for row in rows if row["height"] > row["width"]}
    assert upright == {"Apple_iPhone_4S", "Canon_EOS_5D", "Oppo_R7_Plus", "Samsung_GT-I9100_Galaxy_SII"}


def test_maps_within_the_folder_are_never_scored_however_often_it_is(score: Any, photos: Path) -> None:
    first = score(photos, "--maps", photos / "maps")
    drawn = sorted((photos / "maps").rglob("*.png"))
    assert len(drawn) == len(first.rows) > 0
    again = score(photos, "--maps", photos / "maps")
    assert again.rows == first.rows
    assert sorted((photos / "maps").rglob("*.png")) == drawn
    assert f"{len(drawn)} passed over ({len(drawn)} made here)" in again.stderr
    assert score(photos, "--maps", photos).rows == first.rows
    assert score(photos).rows == first.rows


@pytest.mark.parametrize("command", ["score", "select"])
def test_a_gpu_that_is_not_used_is_told_with_the_reason(
    cli: Any, photos: Path, a_gpu: gpu.Gpu, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    said = "the GPU is not used: this ONNX Runtime"
    ran = cli(command, photos)
    assert said in ran.stderr
    assert "pip install 'dgqa-infer[gpu]'" in ran.stderr
    assert said not in cli(command, photos, "--device", "cpu").stderr
    assert said not in cli(command, photos, "--quiet").stderr
