"""Sets on disk: layouts, resuming, and what goes wrong."""

from __future__ import annotations

import csv
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.errors import OutputError, UsageError
from dgqa_training.datasets import load
from dgqa_training.labels.kadid_scores import built_in
from dgqa_training.synthesis import Settings, synthesize, workers, write_sheets


def test_kadids_layout_is_written(make, tmp_path, pristine):
    plan, written = make(tmp_path / "out")
    out = tmp_path / "out"
    assert (written.images, written.made) == (18, 18)
    names = sorted(p.name for p in (out / "images").iterdir())
    assert names[:4] == ["I01.png", "I01_03_01.png", "I01_03_05.png", "I01_10_01.png"]
    assert len(names) == 3 + 18
    assert sorted(p.name for p in out.iterdir()) == ["dmos.csv", "images", "manifest.json"]
    reference = plan.references[0]
    pristine_pixels = np.asarray(Image.open(out / "images" / "I01.png"))
    np.testing.assert_array_equal(pristine_pixels, np.asarray(Image.open(pristine / "a.png")))
    made = np.asarray(Image.open(out / "images" / "I01_23_05.png"))
    np.testing.assert_array_equal(made, synthesize(pristine_pixels, reference.path.name, 23, 5, seed=7))


def test_the_table_has_kadids_columns_order_and_scores(make, tmp_path):
    make(tmp_path / "out")
    with (tmp_path / "out" / "dmos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["dist_img", "ref_img", "dmos", "var"]
    assert [row["dist_img"] for row in rows[:3]] == ["I01_03_01.png", "I01_03_05.png", "I01_10_01.png"]
    assert rows[0]["ref_img"] == "I01.png"
    scores = built_in()
    for row in rows:
        kind, level = int(row["dist_img"][4:6]), int(row["dist_img"][7:9])
        assert float(row["dmos"]) == pytest.approx(scores.mean[kind - 1, level - 1], abs=1e-4)
        assert float(row["var"]) == pytest.approx(scores.spread[kind - 1, level - 1], abs=1e-4)


def test_the_reader_of_kadid_reads_the_set(make, tmp_path):
    make(tmp_path / "out", Settings())
    samples = load("kadid10k", tmp_path / "out").samples
    assert len(samples) == 3 * 125
    assert (samples[0].domain, samples[0].level, samples[0].path.name) == (1, 1, "I01_01_01.png")


def test_the_reader_of_kadis_reads_the_set(make, tmp_path, files):
    plan, written = make(tmp_path / "out", Settings(per_image="one", seed=1))
    assert written.images == 15
    names = sorted(files(tmp_path / "out"))
    kind = plan.references[0].types[0]
    assert f"dist_imgs/a_{kind:02}_01.bmp" in names
    assert "ref_imgs/a.png" in names
    samples = load("kadis700k", tmp_path / "out").samples
    assert [sample.domain for sample in samples[:6]] == [0] + [kind] * 5


def test_quantile_labels_follow_the_metric_and_differ_between_contents(make, tmp_path):
    make(tmp_path / "out", Settings(types=(1,), levels=(5,), labels="kadid-quantile"))
    with (tmp_path / "out" / "dmos.csv").open(newline="") as file:
        dmos = sorted(float(row["dmos"]) for row in csv.DictReader(file))
    quantiles = built_in().quantiles[0, 4]
    expected = np.interp([1 / 6, 3 / 6, 5 / 6], np.linspace(0, 1, 11), quantiles)
    np.testing.assert_allclose(dmos, expected, atol=1e-4)


def test_the_set_does_not_depend_on_the_number_of_processes(make, tmp_path, files):
    settings = Settings(types=(3, 11, 15, 19), levels=(1, 4), labels="kadid-quantile")
    make(tmp_path / "one", settings, jobs=1)
    make(tmp_path / "two", settings, jobs=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_nothing_is_made_twice(make, tmp_path):
    make(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").iterdir()}
    _, written = make(tmp_path / "out")
    assert written.made == 0
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").iterdir()}


@pytest.mark.parametrize("labels", ["kadid-mean", "kadid-quantile"])
def test_a_set_that_was_broken_off_is_finished_to_the_same_bytes(make, tmp_path, labels, files):
    settings = Settings(types=(3, 23), levels=(2, 5), labels=labels)
    make(tmp_path / "whole", settings)

    class StopError(Exception):
        pass

    batches = []

    def stop(count):
        batches.append(count)
        if len(batches) == 3:
            raise StopError

    with pytest.raises(StopError):
        make(tmp_path / "broken", settings, advance=stop)
    manifest = json.loads((tmp_path / "broken" / "manifest.json").read_text())
    assert manifest["complete"] is False
    (tmp_path / "broken" / "images" / ".I01_03_02.png.1234.part").write_bytes(b"half")  # of a killed process
    _, written = make(tmp_path / "broken", settings)
    assert written.made == 12 - 6
    assert files(tmp_path / "whole") == files(tmp_path / "broken")
    assert json.loads((tmp_path / "broken" / "manifest.json").read_text())["complete"] is True


def test_a_full_disk_is_said_leaves_no_half_file_and_can_be_resumed(make, tmp_path, monkeypatch, files):
    real = os.replace

    def fills_up(part, whole, **folders):
        if "_10_" in Path(whole).name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(part, whole, **folders)

    monkeypatch.setattr(os, "replace", fills_up)
    with pytest.raises(OutputError, match=r"the disk is full at .*run the same command again"):
        make(tmp_path / "out")
    names = [path.name for path in (tmp_path / "out" / "images").iterdir()]
    assert [name for name in names if "_10_" in name or name.endswith(".part")] == []
    monkeypatch.undo()
    make(tmp_path / "out")
    make(tmp_path / "fresh")
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 8}, "seed 7, now 8"),
        ({"levels": (1, 2)}, "levels"),
        ({"labels": "kadid-quantile"}, "labels kadid-mean, now kadid-quantile"),
        ({"short_side": 50}, "short_side None, now 50"),
    ],
)
def test_a_folder_with_other_settings_is_refused_and_left_alone(make, quick, files, tmp_path, change, said):
    make(tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(UsageError, match=f"holds a set made otherwise.*{said}"):
        make(tmp_path / "out", replace(quick, **change))
    assert files(tmp_path / "out") == before


def test_a_folder_made_from_other_photographs_is_refused(make, tmp_path, pristine):
    make(tmp_path / "out")
    Image.new("RGB", (60, 60), (1, 2, 3)).save(pristine / "a.png")
    with pytest.raises(UsageError, match="other references"):
        make(tmp_path / "out")


def test_a_photograph_that_changes_between_two_sets_is_read_again(make, tmp_path, pristine):
    make(tmp_path / "first")
    Image.new("RGB", (60, 60), (1, 2, 3)).save(pristine / "a.png")
    make(tmp_path / "second")
    assert np.asarray(Image.open(tmp_path / "second" / "images" / "I01.png")).shape == (60, 60, 3)


def test_a_file_more_that_cannot_be_used_does_not_make_another_set(make, tmp_path, pristine):
    make(tmp_path / "out")
    (pristine / "broken.png").write_bytes(b"nothing")
    _, written = make(tmp_path / "out")
    assert written.made == 0
    assert "broken.png" in json.loads((tmp_path / "out" / "manifest.json").read_text())["skipped"]


def test_a_folder_that_holds_something_else_is_refused(make, tmp_path, files):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="a folder of its own"):
        make(tmp_path / "out")
    assert list(files(tmp_path / "out")) == ["diary.txt"]


def test_a_folder_that_cannot_be_written_is_said(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        make(tmp_path / "file" / "out")


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_manifest_is_said(make, tmp_path, text):
    make(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text(text)
    with pytest.raises(OutputError, match="cannot be read"):
        make(tmp_path / "out")


def test_progress_counts_images(make, tmp_path):
    counts = []
    make(tmp_path / "out", advance=counts.append)
    assert sum(counts) == 18


def test_sheets_are_drawn_one_a_content(make, tmp_path):
    plan, _ = make(tmp_path / "out")
    with workers(1) as run:
        write_sheets(plan, tmp_path / "out", run)
    sheets = sorted((tmp_path / "out" / "contact_sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["I01.png", "I02.png", "I03.png"]
    before = sheets[0].stat().st_mtime_ns
    with workers(1) as run:
        write_sheets(plan, tmp_path / "out", run)
    assert sheets[0].stat().st_mtime_ns == before
