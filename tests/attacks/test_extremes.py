"""Numbers, files and rows that nobody writes by accident end in one sentence, and never in a traceback."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.options import WorkerLimits
from dgqa_infer.outputs.recovery import RecoveryLog

DIGITS = "9" * 400
ROW = {"path": "a.png", "score": 1.0, "raw": 0.1, "model": "m@1", "size": 3, "mtime": 1.5}


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.mark.parametrize("name", ["raw_range", "crop", "short_side", "bytes", "score"])
def test_a_card_with_numbers_of_400_digits_is_refused(bundle: Path, name: str) -> None:
    card = json.loads((bundle / "card.json").read_text())

    def put(value: Any) -> bool:
        """Put the number in the place of the first that has this name."""
        for key, inside in value.items() if isinstance(value, dict) else ():
            if key == name:
                value[key] = ["DIGITS", "DIGITS"] if isinstance(inside, list) else "DIGITS"
                return True
            if put(inside):
                return True
        return False

    assert put(card)
    (bundle / "card.json").write_text(json.dumps(card).replace('"DIGITS"', DIGITS))
    with pytest.raises(ModelError, match="a number has 400 digits"):
        Bundle.load(bundle)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["card.json", "model.onnx", ""])
def test_a_pipe_in_the_place_of_a_bundle_s_file_is_no_bundle(bundle: Path, name: str) -> None:
    path = bundle / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    os.mkfifo(path)
    with pytest.raises(ModelError):
        Bundle.load(bundle)


@pytest.mark.parametrize("graph", ["quality", "domains"])
def test_outputs_of_another_length_than_the_crops_are_told(
    cli: Any, models: Any, tmp_path: Path, make_photo: Any, graph: str
) -> None:
    quality, domains = models.quality_graph(), models.domain_graph()
    chosen, name = {"quality": (quality, "quality"), "domains": (domains, "domain_logits")}[graph]
    for node in chosen.graph.node:
        node.output[:] = ["once" if each == name else each for each in node.output]
    chosen.graph.node.append(helper.make_node("Concat", ["once", "once"], [name], axis=0))
    files = {"model.onnx": quality.SerializeToString(), "domains.onnx": domains.SerializeToString()}
    folder = write_bundle(tmp_path / "long", files, models.card()).path
    photo = make_photo(tmp_path / "a.png")
    ran = cli("score", "--model", folder, "--device", "cpu", "--workers", 1, "--explain", photo)
    assert ran.code == 2
    assert f"error: the model's output {name} has the shape [10" in ran.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"path": ["a.png"]},
        {"model": {}},
        {"size": "3"},
        {"mtime": []},
        {"score": "high"},
        {"score": None},
        {"raw": "x"},
        {"width": 1.5},
        {"error": "it is broken"},
        {"error": {"message": "no code"}},
    ],
    ids=str,
)
def test_a_log_with_rows_that_were_tampered_with_is_not_continued(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    log = tmp_path / "rows.jsonl"
    row = ROW | change
    if "error" in change:
        del row["score"]
    log.write_text(f"{json.dumps(ROW)}\n{json.dumps(row)}\n{json.dumps(ROW)}\n")
    before = log.read_bytes()
    with pytest.raises(UsageError, match="its line 2 is not a row"):
        RecoveryLog(log, resume=True)
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "amount"),
    [
        ("--limit-time", "100000000h"),
        ("--limit-time", f"{DIGITS}s"),
        ("--limit-memory", "99999999999TB"),
        ("--limit-file-size", f"{DIGITS}MB"),
        ("--limit-pixels", f"{DIGITS}MP"),
        ("--limit-side", "9999999999999999999px"),
    ],
)
def test_limits_beyond_a_system_s_numbers_are_refused(
    cli: Any, tiny_bundle: Path, tmp_path: Path, make_photo: Any, option: str, amount: str
) -> None:
    ran = cli("score", "--model", tiny_bundle, make_photo(tmp_path / "a.png"), option, amount)
    assert ran.code == 2, ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_longest_time_is_one_that_the_system_can_wait_for() -> None:
    WorkerLimits(seconds=1_000_000)
    with pytest.raises(UsageError, match="at most 1,000,000"):
        WorkerLimits(seconds=1_000_001)
