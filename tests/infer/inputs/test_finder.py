from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs import finder as folder
from dgqa_infer.inputs.finder import InputFinder, photographs_in
from dgqa_infer.inputs.name_lists import read_names
from dgqa_infer.inputs.own_pictures import FOLDER_MARK, png_mark

JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("b.jpg", "a/z.PNG", "a/IMG.2024.jpeg", "a/deep/x.webp", "c/notes.txt", "c/raw.nef"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "c" / "unnamed").write_bytes(JPEG)
    (root / "BMW.txt").write_text("BMW drivers")
    return root


def found(selection: InputFinder, *named: object) -> list[str]:
    return [
        entry if isinstance(entry, str) else f"!{entry.code}" for entry in selection.find([*map(str, named)])
    ]


def test_images_by_name_or_by_their_first_bytes_in_the_order_of_their_names(tree: Path) -> None:
    selection = InputFinder()
    expected = ["a/IMG.2024.jpeg", "a/deep/x.webp", "a/z.PNG", "b.jpg", "c/raw.nef", "c/unnamed"]
    assert found(selection, tree) == [f"{tree}/{name}" for name in expected]
    assert selection.passed_over == {"not_an_image": 2}


def test_a_slash_at_the_end_changes_nothing(tree: Path) -> None:
    assert found(InputFinder(), f"{tree}/") == found(InputFinder(), tree)


def test_without_recursion_only_the_folder_itself(tree: Path) -> None:
    selection = InputFinder(recursive=False)
    assert found(selection, tree) == [f"{tree}/b.jpg"]
    assert selection.passed_over == {"folder": 2, "not_an_image": 1}


def test_what_is_included_is_scored_whatever_it_is(tree: Path) -> None:
    assert found(InputFinder(include=["*.txt"]), tree) == [f"{tree}/BMW.txt", f"{tree}/c/notes.txt"]
    assert len(found(InputFinder(include=["*"]), tree)) == 8


def test_what_is_excluded_is_left_out_with_all_that_is_in_it(tree: Path) -> None:
    selection = InputFinder(exclude=["deep", "*.png", "c/raw*"])
    assert found(selection, tree) == [f"{tree}/{name}" for name in ("a/IMG.2024.jpeg", "b.jpg", "c/unnamed")]
    assert selection.passed_over == {"excluded": 3, "not_an_image": 2}


def test_what_is_named_is_taken_whatever_it_is_called(tree: Path) -> None:
    named = [tree / "c" / "notes.txt", tree / "none.jpg"]
    assert found(InputFinder(exclude=["*"], include=["*.jpg"]), *named) == [*map(str, named)]


def test_each_spelling_comes_once_and_duplicates_are_counted(tree: Path) -> None:
    selection = InputFinder()
    paths = found(selection, tree / "a", tree / "a" / "z.PNG", f"{tree}/a/", f"{tree}/b.jpg", f"{tree}/b.jpg")
    assert len(paths) == len(set(paths)) == 4
    assert selection.passed_over == {"duplicate": 5}


def test_links_to_files_are_followed_and_links_to_folders_are_not(tree: Path, tmp_path: Path) -> None:
    (tree / "a" / "loop").symlink_to(tree)
    (tree / "link.jpg").symlink_to(tree / "b.jpg")
    (tree / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tree / "lost").symlink_to(tmp_path / "nowhere")
    selection = InputFinder()
    listed = found(selection, tree)
    assert len(listed) == 8
    assert {f"{tree}/link.jpg", f"{tree}/lost.jpg"} < set(listed)
    assert selection.passed_over["symlink"] == 2


def test_with_follow_links_each_folder_comes_once_and_loops_end(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.jpg").touch()
    (elsewhere / "back").symlink_to(tree)
    (tree / "a" / "loop").symlink_to(tree)
    (tree / "one").symlink_to(elsewhere)
    (tree / "two").symlink_to(elsewhere)
    selection = InputFinder(follow_links=True)
    listed = found(selection, tree)
    assert len(listed) == 7
    assert f"{tree}/one/1.jpg" in listed
    assert selection.passed_over["duplicate"] == 3


def test_what_systems_keep_beside_photographs_is_passed_over_unless_it_is_named(tree: Path) -> None:
    for name in ("@eaDir", ".thumbnails", "__MACOSX", "$RECYCLE.BIN"):
        (tree / name).mkdir()
        (tree / name / "x.jpg").touch()
    (tree / "._b.jpg").touch()
    selection = InputFinder()
    assert len(found(selection, tree)) == 6
    assert selection.passed_over["excluded"] == 5
    assert found(InputFinder(), tree / "@eaDir") == [f"{tree}/@eaDir/x.jpg"]
    assert found(InputFinder(), tree / "._b.jpg") == [f"{tree}/._b.jpg"]


def test_pictures_that_this_program_made_are_no_photographs(tree: Path) -> None:
    Image.new("RGB", (8, 8)).save(tree / "map.png", pnginfo=png_mark())
    Image.new("RGB", (8, 8)).save(tree / "photo.png")
    (tree / "picked").mkdir()
    (tree / "picked" / FOLDER_MARK).touch()
    (tree / "picked" / "b.jpg").touch()
    selection = InputFinder()
    listed = found(selection, tree)
    assert len(listed) == 7
    assert f"{tree}/photo.png" in listed
    assert selection.passed_over["made_here"] == 2
    assert found(InputFinder(), tree / "picked") == [f"{tree}/picked/b.jpg"]


def test_pictures_in_formats_that_are_not_decoded_are_found_too(tree: Path) -> None:
    (tree / "layers.psd").touch()
    (tree / "c" / "layers").write_bytes(b"8BPS\0\1")
    assert len(found(InputFinder(), tree)) == 8
    assert len(photographs_in(tree, recursive=True)) == 6


@pytest.mark.parametrize(
    ("written", "separator"),
    [
        (b"a.jpg\r\nb.jpg\r\n", b"\n"),
        (b"\xef\xbb\xbfa.jpg\nb.jpg", b"\n"),
        (b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\n", b"\n"),
        ("\ufeffa.jpg\r\nb.jpg\r\n".encode("utf-16-le"), b"\n"),
        ("\ufeffa.jpg\nb.jpg".encode("utf-16-be"), b"\n"),
        (b"\xef\xbb\xbfa.jpg\0b.jpg\0", b"\0"),
    ],
)
def test_a_list_from_windows_names_the_same_files(written: bytes, separator: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    assert list(read_names(reading, separator)) == ["a.jpg", "b.jpg"]
    os.close(reading)


@pytest.mark.timeout(30)
def test_what_has_no_end_of_a_name_in_sight_is_no_list() -> None:
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("needs /dev/zero")
    with endless.open("rb", buffering=0) as file, pytest.raises(UsageError, match="is no list of names"):
        list(read_names(file.fileno(), b"\n"))


def test_a_file_whose_name_ends_in_a_carriage_return_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg\r").touch()
    reading, writing = os.pipe()
    os.write(writing, b"a.jpg\r\nb.jpg\r\n")
    os.close(writing)
    assert list(read_names(reading, b"\n")) == ["a.jpg\r", "b.jpg"]
    os.close(reading)


def test_a_link_that_is_named_is_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert len(found(InputFinder(), tmp_path / "link")) == 6


def test_pipes_in_a_folder_are_passed_over(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jpg")
    selection = InputFinder(include=["*"])
    assert len(found(selection, tree)) == 8
    assert selection.passed_over == {"special": 1}


def test_a_folder_called_like_an_image_is_a_folder(tree: Path) -> None:
    (tree / "x.jpg").mkdir()
    (tree / "x.jpg" / "y.jpg").touch()
    assert f"{tree}/x.jpg/y.jpg" in found(InputFinder(), tree)
    assert f"{tree}/x.jpg" not in found(InputFinder(), tree)


def test_a_pattern_names_files_and_folders(tree: Path) -> None:
    assert found(InputFinder(), f"{tree}/[ab]*") == [
        f"{tree}/a/{n}" for n in ("IMG.2024.jpeg", "deep/x.webp", "z.PNG")
    ] + [f"{tree}/b.jpg"]
    assert found(InputFinder(), f"{tree}/**/*.webp") == [f"{tree}/a/deep/x.webp"]


def test_a_pattern_that_fits_nothing_is_a_name_that_does_not_exist(tree: Path) -> None:
    assert found(InputFinder(), f"{tree}/*.gif") == [f"{tree}/*.gif"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "a[1].jpg").touch()
    (tree / "a1.jpg").touch()
    assert found(InputFinder(), f"{tree}/a[1].jpg") == [f"{tree}/a[1].jpg"]


def test_names_from_a_list_are_never_patterns(tree: Path) -> None:
    names = [f"{tree}/*.jpg"]
    assert list(InputFinder().find(names, patterns=False)) == names


def test_a_folder_that_cannot_be_listed_is_an_error_and_its_neighbours_are_not(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def forbidden(path: Any) -> Any:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    entries = list(InputFinder().find([str(tree)]))
    (error,) = [entry for entry in entries if isinstance(entry, ImageError)]
    assert (error.code, error.path) == ("unreadable", f"{tree}/a")
    assert "cannot be listed: Permission denied" in error.message
    assert len(entries) == 4


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
def test_names_that_are_not_text_survive(tree: Path) -> None:
    name = os.fsencode(tree) + b"/caf\xe9.jpg"
    with open(name, "wb"):  # noqa: PTH123 (a name of bytes)
        pass
    assert os.fsencode(next(path for path in found(InputFinder(), tree) if "caf" in path)) == name


def test_a_huge_folder_is_not_listed_before_its_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PORTION", 50)
    for number in range(500):
        (tmp_path / f"{number:03}.jpg").touch()
    looked_at = []
    look_at = InputFinder._look_at

    def noting(self, entry, *more):
        looked_at.append(entry)
        return look_at(self, entry, *more)

    monkeypatch.setattr(InputFinder, "_look_at", noting)
    listing = InputFinder().find([str(tmp_path)])
    next(listing)
    assert len(looked_at) == 1
    assert len(list(listing)) == 499


def test_the_order_of_a_huge_folder_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PORTION", 7)
    for number in range(50):
        (tmp_path / f"{number}.jpg").touch()
    assert found(InputFinder(), tmp_path) == found(InputFinder(), tmp_path)


def test_many_names_are_taken_as_they_come() -> None:
    taken: list[int] = []

    def names() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield f"{number}.jpg"

    listing = InputFinder().find(names(), patterns=False)
    assert [next(listing) for _ in range(3)] == ["0.jpg", "1.jpg", "2.jpg"]
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(
    ("written", "separator", "names"),
    [
        (b"a.jpg\nb c.jpg\n", b"\n", ["a.jpg", "b c.jpg"]),
        (
            b"a.jpg\0line\nfeed.jpg\0caf\xe9.jpg",
            b"\0",
            ["a.jpg", "line\nfeed.jpg", os.fsdecode(b"caf\xe9.jpg")],
        ),
        (b"\n\n", b"\n", []),
        (b"", b"\0", []),
    ],
)
def test_names_are_read_from_a_pipe(written: bytes, separator: bytes, names: list[str]) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    assert list(read_names(reading, separator)) == names
    os.close(reading)


def test_the_photographs_of_a_folder_are_those_that_are_scored(tree: Path) -> None:
    found = photographs_in(tree, recursive=True)
    assert [str(path) for path in found] == list(InputFinder().find([str(tree)]))
    assert photographs_in(tree) == [path for path in found if path.parent == tree]


def test_what_is_no_folder_has_no_photographs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    for name in ("a.jpg", "nowhere"):
        with pytest.raises(UsageError, match=f"{name} is not a folder"):
            photographs_in(tmp_path / name)
