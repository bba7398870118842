"""`dgqa-infer synthesize`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from dgqa_infer.cli.synthesize import synthesize
from dgqa_infer.errors import UsageError

pytest.importorskip("skimage", reason="the extra [train] is not installed")

program = typer.Typer()
program.command()(synthesize)


@pytest.fixture
def pristine(tmp_path):
    folder = tmp_path / "pristine"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(draw.integers(0, 256, (50, 52, 3), dtype=np.uint8)).save(folder / name)
    return folder


def run(*arguments, fails=False):
    result = CliRunner().invoke(program, [*map(str, arguments), "--workers", "1"])
    if result.exception and not isinstance(result.exception, SystemExit) and not fails:
        raise result.exception
    return result


def test_a_set_is_made_and_said_on_stderr(pristine, tmp_path):
    result = run(pristine, tmp_path / "out", "--types", "1-2,jpeg", "--levels", "2,4-5")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "18 images of 2 photographs, 18 of them made now" in result.stderr
    names = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert {"I01.png", "I02_10_05.png", "I01_02_04.png"} < names
    assert len(names) == 20


def test_quiet_says_nothing(pristine, tmp_path):
    result = run(pristine, tmp_path / "out", "--types", "1", "--quiet")
    assert result.output == ""


def test_contact_sheets_are_drawn_on_demand(pristine, tmp_path):
    run(pristine, tmp_path / "out", "--types", "1")
    assert not (tmp_path / "out" / "contact_sheets").exists()
    run(pristine, tmp_path / "out", "--types", "1", "--contact-sheet")
    assert len(list((tmp_path / "out" / "contact_sheets").iterdir())) == 2


def test_kadis_layout_is_made_on_demand(pristine, tmp_path):
    run(pristine, tmp_path / "out", "--per-image", "one", "--seed", "3")
    assert len(list((tmp_path / "out" / "dist_imgs").iterdir())) == 10


def test_scores_of_another_table_are_taken(pristine, tmp_path, shared_data):
    table = shared_data / "labels" / "kadid10k.csv"
    run(pristine, tmp_path / "out", "--types", "1", "--levels", "5", "--kadid-scores", table)
    assert "I01_01_05.png,I01.png,1.3027," in (tmp_path / "out" / "dmos.csv").read_text()


def test_a_photograph_that_cannot_be_used_is_a_warning_and_exit_code_3(pristine, tmp_path):
    (pristine / "c.png").write_bytes(b"nothing")
    result = run(pristine, tmp_path / "out", "--types", "1")
    assert result.exit_code == 3
    assert "warning: c.png is left out: " in result.stderr
    assert (tmp_path / "out" / "dmos.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--types", "26"), "no distortion type"),
        (("--types", "blurry"), "no distortion type 'blurry'"),
        (("--types", ""), "no distortion type"),
        (("--types", "1,5-3"), "no distortion type '5-3'"),
        *(
            (
                ("--levels", levels),
                f"invalid --levels '{levels}': expected some of 1 to 5, such as 4,5 or 1-5",
            )
            for levels in ("6", "strong", "1-", "1,5-3", "1-99999999999", "1" * 5000)
        ),
        (("--per-image", "one", "--levels", "1"), "all five levels"),
        (("--kadid-scores", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_requests_that_make_no_sense_are_usage_errors(pristine, tmp_path, arguments, message):
    result = run(pristine, tmp_path / "out", *arguments, fails=True)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_with_the_command_that_installs_it(pristine, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("dgqa_training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    result = run(pristine, tmp_path / "out", fails=True)
    assert isinstance(result.exception, UsageError)
    assert "scipy" in str(result.exception)
    assert "pip install 'dgqa-infer[train]'" in str(result.exception)


def test_the_command_does_not_import_the_training_package_before_it_runs():
    script = "import sys, dgqa_infer.cli.synthesize as s; print({*sys.modules} & {'dgqa_training', 'scipy'})"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert output.strip() == "set()"


def test_an_interruption_is_exit_code_130_and_says_how_to_go_on(pristine, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dgqa_training.synthesis.write_set", interrupted)
    result = run(pristine, tmp_path / "out")
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr


def test_a_file_is_no_place_for_a_set(pristine, tmp_path):
    (tmp_path / "out").write_text("mine")
    ran = run(pristine, tmp_path / "out", fails=True)
    assert str(ran.exception) == f"{tmp_path / 'out'} is a file: name a folder for the set"
    assert (tmp_path / "out").read_text() == "mine"
