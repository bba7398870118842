"""Tables that would spoil an evaluation are refused, with the row."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import load, read_table

Table = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c d.jpg", "sub/e.jpg"):
        (photos / name).touch()
    return photos


def read(folder: Path, text: str, **options: bool) -> list[tuple[str, float | None]]:
    table = folder.parent / "labels.csv"
    table.write_text(text, encoding="utf-8")
    loaded = read_table(table, folder, **options)
    return [(sample.path.relative_to(folder).as_posix(), sample.score) for sample in loaded.samples]


def test_a_table_beside_a_folder_is_read_in_its_order(folder: Path) -> None:
    assert read(folder, "image,mos\nb.jpg,0.25\nc d.jpg,1\nsub/e.jpg,-3e-1\n") == [
        ("b.jpg", 0.25),
        ("c d.jpg", 1.0),
        ("sub/e.jpg", -0.3),
    ]


def test_excels_byte_order_mark_capitals_quotes_and_blank_lines_do_no_harm(folder: Path) -> None:
    text = '\ufeffFilename, Score ,camera\r\n"c d.jpg", 2.5 ,"X, Y"\r\n\r\n a.jpg,1,Z\r\n'
    assert read(folder, text) == [("c d.jpg", 2.5), ("a.jpg", 1.0)]


def test_other_columns_are_kept_for_grouping(folder: Path) -> None:
    (folder.parent / "labels.csv").write_text("camera,image,mos\nX,a.jpg,1\nY,b.jpg,2\n")
    samples = read_table(folder.parent / "labels.csv", folder).samples
    assert [sample.columns for sample in samples] == [{"camera": "X"}, {"camera": "Y"}]


@pytest.mark.parametrize("text", ["nan", "", "inf", "-inf", "4,5 stars", "good", "NaN"])
def test_a_score_that_is_no_finite_number_is_refused_with_its_line(folder: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv, line 3: mos is .* not a finite number"):
        read(folder, f'image,mos\na.jpg,1\nb.jpg,"{text}"\n')


def test_an_image_given_twice_is_refused_with_both_lines(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"line 4: a\.jpg was given before, in labels\.csv, line 2"):
        read(folder, "image,mos\na.jpg,1\nb.jpg,2\n./a.jpg,3\n")


def test_a_name_without_a_file_is_refused_with_its_line(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv, line 3: there is no file 'x\.jpg' in .*photos"):
        read(folder, "image,mos\na.jpg,1\nx.jpg,2\n")


@pytest.mark.parametrize("name", ["../labels.csv", "/etc/hostname", "sub/../../labels.csv", "..\\labels.csv"])
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"line 2: .* is not the name of a file inside"):
        read(folder, f"image,mos\n{name},1\n")


def test_a_constant_column_is_refused_with_its_lines(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2 to labels\.csv, line 4: all 3 scores are 0\.5"):
        read(folder, "image,mos\na.jpg,0.5\nb.jpg,0.50\nsub/e.jpg,5e-1\n")


def test_a_dmos_column_is_refused_until_its_direction_is_said(folder: Path) -> None:
    text = "image,DMOS\na.jpg,10\nb.jpg,60\n"
    with pytest.raises(UsageError, match=r"labels\.csv, line 1: DMOS falls .* --lower-is-better"):
        read(folder, text)
    assert len(read(folder, text, higher_is_better=False)) == 2


def test_the_direction_that_was_said_is_kept(folder: Path) -> None:
    (folder.parent / "labels.csv").write_text("image,score\na.jpg,1\nb.jpg,2\n")
    for direction in (True, False):
        loaded = read_table(folder.parent / "labels.csv", folder, direction)
        assert loaded.facts.higher_is_better is direction


@pytest.mark.parametrize("header", ["a.jpg,0.5", "image,stars", "image,mos,score", "file,image,mos"])
def test_a_header_that_does_not_tell_image_and_score_is_refused(folder: Path, header: str) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv, line 1: \d columns may be the (image|score)"):
        read(folder, f"{header}\na.jpg,1,2\n")


def test_a_line_that_breaks_off_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv, line 3 has 1 cells where 2 belong"):
        read(folder, "image,mos\na.jpg,1\nb.jp")


@pytest.mark.parametrize("text", ["", "\n", "image,mos\n"])
def test_an_empty_table_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv names no image"):
        read(folder, text)


def test_a_table_that_is_no_text_is_refused(folder: Path) -> None:
    (folder.parent / "labels.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(UsageError, match=r"labels\.csv is not UTF-8"):
        read_table(folder.parent / "labels.csv", folder)


def test_a_table_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_table(folder.parent / "labels.csv", folder)


# -- the same rules hold for the public sets ------------------------------------------------------------


def kadid(root: Path, write_table: Table, rows: list[tuple[str, str, object, float]]) -> None:
    write_table(root / "dmos.csv", ("dist_img", "ref_img", "dmos", "var"), rows)
    (root / "images").mkdir()
    for name in ("I01.png", "I01_01_01.png", "I01_01_02.png"):
        (root / "images" / name).touch()


def test_a_public_sets_bad_score_is_refused_with_its_line(tmp_path: Path, write_table: Table) -> None:
    kadid(
        tmp_path, write_table, [("I01_01_01.png", "I01.png", 4.5, 0), ("I01_01_02.png", "I01.png", "nan", 0)]
    )
    with pytest.raises(UsageError, match=r"dmos\.csv, line 3: dmos is 'nan'"):
        load("kadid10k", tmp_path)


def test_a_score_off_the_sets_scale_is_refused(tmp_path: Path, write_table: Table) -> None:
    # A table rescaled to 0–10, as training code leaves behind.
    kadid(tmp_path, write_table, [("I01_01_01.png", "I01.png", 9.16, 0)])
    with pytest.raises(UsageError, match=r"dmos\.csv, line 2: DMOS 9\.16 is outside 1–5"):
        load("kadid10k", tmp_path)


def test_a_missing_image_of_a_public_set_is_named(tmp_path: Path, write_table: Table) -> None:
    kadid(tmp_path, write_table, [("I01_01_03.png", "I01.png", 4.0, 0)])
    with pytest.raises(UsageError, match=r"line 2: there is no file 'I01_01_03\.png' in .*images"):
        load("kadid10k", tmp_path)


def test_a_file_name_of_another_form_is_refused(tmp_path: Path, write_table: Table) -> None:
    kadid(tmp_path, write_table, [("I01.png", "I01.png", 4.0, 0)])
    with pytest.raises(UsageError, match=r"line 2: dist_img is 'I01\.png', not of the form"):
        load("kadid10k", tmp_path)


def test_a_missing_column_of_a_public_set_is_named(tmp_path: Path, write_table: Table) -> None:
    write_table(tmp_path / "labels_image.csv", ("name", "score"), [("a.jpg", 1)])
    (tmp_path / "database").mkdir()
    with pytest.raises(UsageError, match=r"labels_image\.csv, line 1: no column mos; there are: name, score"):
        load("flive", tmp_path)


def test_matlab_files_that_disagree_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Data").mkdir()
    (tmp_path / "Images").mkdir()
    names = np.array([["t1.bmp"], ["t2.bmp"]], object)
    savemat(tmp_path / "Data/AllImages_release.mat", {"AllImages_release": names})
    savemat(tmp_path / "Data/AllMOS_release.mat", {"AllMOS_release": np.zeros((1, 3))})
    with pytest.raises(UsageError, match=r"disagree on the number of images: \{'image': 2, 'mos': 3\}"):
        load("livec", tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file", b"MATLAB 5.0 MAT-file" + b"\0" * 200])
def test_a_damaged_matlab_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Data").mkdir()
    (tmp_path / "Images").mkdir()
    for name in ("AllImages_release", "AllMOS_release"):
        (tmp_path / "Data" / f"{name}.mat").write_bytes(content)
    with pytest.raises(UsageError, match=r"AllImages_release\.mat"):
        load("livec", tmp_path)


def test_an_accent_may_be_one_character_or_two(folder: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))
    for there, written in ((composed, decomposed), (decomposed, composed)):
        (folder / there).touch()
        assert read(folder, f"image,mos\na.jpg,1\n{written},2\n")[1][0] == there
        (folder / there).unlink()


def test_a_path_from_the_root_may_lie_in_the_folder(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    text = f"image,mos\n{folder}/a.jpg,1\n{folder}/sub/e.jpg,2\n"
    assert [name for name, _ in read(folder, text)] == ["a.jpg", "sub/e.jpg"]
    assert [name for name, _ in read(folder.parent / "link", f"image,mos\n{folder}/a.jpg,1\nb.jpg,2\n")]
