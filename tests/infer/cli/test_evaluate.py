"""`dgqa-infer evaluate`, run as a user runs it; the tiny bundle's raw score is mean grey / 25.5."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.cli.app import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_bundle: Path) -> Run:
    def run(*arguments: object, model: Path = tiny_bundle) -> tuple[int, str, str]:
        words = ["dgqa-infer", "evaluate", "--model", str(model), "--device", "cpu", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


@pytest.fixture
def rated(tmp_path: Path) -> tuple[Path, Path]:
    """Thirty grey photographs of two origins, and ratings that follow their brightness with noise."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["image,mos,camera"]
    for index in range(30):
        grey = int(generator.integers(20, 236))
        name = f"{('day', 'night')[index % 2]}{index}.png"
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(folder / name)
        lines.append(f"{name},{grey / 51 + generator.normal():.4f},{'XY'[index % 3 == 0]}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    return table, folder


def greys_and_ratings(rated: tuple[Path, Path]) -> tuple[list[float], list[float]]:
    table, folder = rated
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    greys = [float(np.asarray(Image.open(folder / row[0])).mean()) for row in rows]
    return greys, [float(row[1]) for row in rows]


def document(text: str) -> dict[str, Any]:
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def test_the_figures_are_those_of_the_bundles_scores(
    run: Run, rated: tuple[Path, Path], tiny_bundle: Path
) -> None:
    code, out, _ = run("--labels", *rated, "--json")
    found = document(out)
    greys, ratings = greys_and_ratings(rated)
    assert code == 0
    assert found["model"] == Bundle.load(tiny_bundle).model_id
    assert found["set"] == "labels.csv"
    assert found["pooled"]["images"] == 30
    assert found["pooled"]["srcc"]["value"] == pytest.approx(stats.spearmanr(greys, ratings)[0], abs=1e-6)
    assert found["pooled"]["plcc"]["value"] == pytest.approx(stats.pearsonr(greys, ratings)[0], abs=1e-4)
    assert found["unreadable"] == []
    assert found["protocol"] == "ours: fixed grid of crops, no epoch chosen on the target"


def test_a_person_gets_a_table(run: Run, rated: tuple[Path, Path]) -> None:
    code, out, _ = run("--labels", *rated, "--table")
    assert code == 0
    assert "SRCC" in out
    assert "labels.csv" in out


def test_groups_by_prefix_stand_beside_the_pooled_figures(run: Run, rated: tuple[Path, Path]) -> None:
    _, out, _ = run("--labels", *rated, "--json", "--group-by-prefix", 3)
    groups = document(out)["groups"]
    greys, ratings = greys_and_ratings(rated)
    assert list(groups) == ["day", "nig"]
    assert [group["images"] for group in groups.values()] == [15, 15]
    alone = stats.spearmanr(greys[::2], ratings[::2])[0]
    assert groups["day"]["srcc"]["value"] == pytest.approx(alone, abs=1e-6)


def test_groups_by_a_column_of_the_table(run: Run, rated: tuple[Path, Path]) -> None:
    _, out, _ = run("--labels", *rated, "--json", "--group-by", "camera")
    assert {name: group["images"] for name, group in document(out)["groups"].items()} == {"X": 20, "Y": 10}


def test_a_group_with_nothing_to_rank_is_null_and_a_dash(run: Run, rated: tuple[Path, Path]) -> None:
    table, _ = rated
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], lines[-1].replace(",X", ",Z").replace(",Y", ",Z")]))
    _, out, _ = run("--labels", *rated, "--json", "--group-by", "camera")
    assert document(out)["groups"]["Z"] is None
    code, out, _ = run("--labels", *rated, "--table", "--group-by", "camera")
    assert code == 0
    assert "–" in out


def test_an_unknown_column_is_answered_with_the_known_ones(run: Run, rated: tuple[Path, Path]) -> None:
    code, out, err = run("--labels", *rated, "--group-by", "lens")
    assert (code, out) == (2, "")
    assert "there is no column 'lens' to group by; there are: camera" in err


def test_unreadable_images_are_counted_named_and_left_out(run: Run, rated: tuple[Path, Path]) -> None:
    _, folder = rated
    (folder / "day0.png").write_bytes(b"")
    (folder / "night1.png").write_bytes((folder / "night1.png").read_bytes()[:60])
    code, out, err = run("--labels", *rated, "--json")
    found = document(out)
    assert code == 3
    assert found["pooled"]["images"] == 28
    assert [Path(row["path"]).name for row in found["unreadable"]] == ["day0.png", "night1.png"]
    assert found["unreadable"][0]["error"]["code"] == "empty"
    assert "2 of 30 images could not be scored" in err
    assert "day0.png" in err


def test_nothing_to_score_has_its_own_exit_code(run: Run, rated: tuple[Path, Path]) -> None:
    for image in rated[1].iterdir():
        image.write_bytes(b"no picture")
    code, out, err = run("--labels", *rated)
    assert (code, out) == (4, "")
    assert "30 of 30 images could not be scored" in err
    assert "and 20 more" in err


def test_ratings_that_fall_with_quality_must_be_said_to_and_are_then_turned(
    run: Run, rated: tuple[Path, Path]
) -> None:
    table, _ = rated
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    table.write_text("\n".join(["image,mos", *(f"{name},{-float(mos)}" for name, mos, _ in rows)]))
    _, out, err = run("--labels", *rated, "--json")
    assert document(out)["pooled"]["srcc"]["value"] < -0.7
    assert "is higher really better in labels.csv?" in err
    _, out, err = run("--labels", *rated, "--json", "--lower-is-better")
    assert document(out)["pooled"]["srcc"]["value"] > 0.7
    assert "really better" not in err


def test_two_bundles_are_compared_on_the_same_images(
    run: Run, rated: tuple[Path, Path], tiny_bundle: Path
) -> None:
    code, out, err = run("--labels", *rated, "--json", "--versus", tiny_bundle)
    difference = document(out)["versus"]["difference"]
    assert code == 0
    assert difference["srcc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "ahead in 0.0% of draws" in err


def test_a_person_gets_the_comparison_as_a_table_too(
    run: Run, rated: tuple[Path, Path], models: Any, tmp_path: Path
) -> None:
    other = models.write(tmp_path / "other", name="other")
    code, out, err = run("--labels", *rated, "--table", "--versus", other.path)
    assert code == 0
    words = out.split()
    assert f"minus {other.model_id}" in " ".join(words)
    assert "ahead in 0.0% of draws" not in err
    for word in ("SRCC", "KRCC", "PLCC", "0%", "draws"):
        assert word in words


def test_a_public_set_is_evaluated_in_its_own_direction(run: Run, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    rows = []
    for index in range(12):
        grey = int(generator.integers(20, 236))
        name = f"voc/{index}.png"
        (tmp_path / "database/voc").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(tmp_path / "database" / name)
        rows.append(f"{name},{grey / 2.55:.2f}")
    (tmp_path / "labels_image.csv").write_text("\n".join(["name,mos", *rows]))
    code, out, _ = run("--set", "flive", tmp_path, "--json", "--group-by", "collection")
    found = document(out)
    assert code == 0
    assert found["set"] == "FLIVE (PaQ-2-PiQ)"
    assert found["groups"]["voc"]["srcc"]["value"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "say what to evaluate on"),
        (("--set", "bid", ".", "--labels", "a.csv", "."), "say what to evaluate on"),
        (("--set", "bid", ".", "--lower-is-better"), "the direction of bid is known"),
        (("--set", "koniq", "."), "there is no data set 'koniq'"),
        (("--labels", "nowhere.csv", "."), "nowhere.csv cannot be read"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_in_a_sentence(
    run: Run, arguments: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert why in err


def test_groupings_exclude_each_other(run: Run, rated: tuple[Path, Path]) -> None:
    code, _, err = run("--labels", *rated, "--group-by", "camera", "--group-by-prefix", 3)
    assert code == 2
    assert "exclude each other" in err


def test_a_set_without_opinions_is_refused_before_any_scoring(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kadis700k_ref_imgs.csv").write_text("ref_im,dist_type_1\na.png,7\n")
    for name in ["ref_imgs/a.png", *(f"dist_imgs/a_07_{level:02}.bmp" for level in range(1, 6))]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    code, _, err = run("--set", "kadis700k", tmp_path)
    assert code == 2
    assert "KADIS-700k has no opinion scores" in err
    assert "could not be scored" not in err


def test_without_scipy_one_sentence_names_the_extra(tmp_path: Path) -> None:
    program = "import sys; sys.modules['scipy'] = None; from dgqa_infer.cli.app import main; main()"
    command = [sys.executable, "-c", program, "evaluate", "--set", "bid", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: this needs the package scipy")
    assert "pip install 'dgqa-infer[evaluate]'" in done.stderr


def test_torch_is_not_needed(rated: tuple[Path, Path], tiny_bundle: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from dgqa_infer.cli.app import main; main()"
    options = ["--labels", *rated, "--model", tiny_bundle, "--device", "cpu", "--workers", "1", "--json"]
    command = [sys.executable, "-c", program, "evaluate", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert document(done.stdout)["pooled"]["images"] == 30
