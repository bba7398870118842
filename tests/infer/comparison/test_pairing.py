"""Which photograph of one set belongs to which of the other."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.comparison.pairing import PairBy, names_in_set, pair, read_pairs
from dgqa_infer.errors import UsageError


def rows(*paths: str) -> list[Any]:
    return [{"path": path, "score": 50.0, "model": "tiny@0"} for path in paths]


def found(*arguments: Any) -> list[tuple[str, str | None, str | None]]:
    return [(each.name, each.old["path"], each.new["path"]) for each in pair(*arguments).pairs]


def test_photographs_pair_by_their_path_within_the_folder_that_holds_the_set() -> None:
    old = rows("/v1/shots/a/1.jpg", "/v1/shots/b/1.jpg", "/v1/shots/b/2.jpg")
    new = rows("v2/b/1.jpg", "v2/a/1.jpg", "v2/c/9.jpg")
    both = pair(old, new)
    assert [(each.name, each.new["path"]) for each in both.pairs] == [
        ("a/1.jpg", "v2/a/1.jpg"),
        ("b/1.jpg", "v2/b/1.jpg"),
    ]
    assert both.only_old == ("b/2.jpg",)
    assert both.only_new == ("c/9.jpg",)
    assert [each.folder for each in both.pairs] == ["a", "b"]


def test_a_codec_changes_the_ending_and_names_pair_without_it() -> None:
    assert found(rows("o/x.jpg", "o/y.jpg"), rows("n/k/y.avif", "n/x.webp"), PairBy.STEM) == [
        ("x.jpg", "o/x.jpg", "n/x.webp"),
        ("y.jpg", "o/y.jpg", "n/k/y.avif"),
    ]


@pytest.mark.parametrize("folders", [(None, None), ("o", "n/"), ("o", None), (None, "./n")])
def test_a_set_that_has_lost_a_folder_pairs_by_the_folder_that_the_set_lies_in(folders: Any) -> None:
    """b/1.jpg is all that is left of the new set: it is no pair of the old set's own 1.jpg."""
    old, new = rows("o/1.jpg", "o/a/2.jpg", "o/b/1.jpg"), rows("n/b/1.jpg", "n/b/3.jpg")
    both = pair(old, new, PairBy.PATH, folders)
    assert [(each.name, each.old["path"], each.new["path"]) for each in both.pairs] == [
        ("b/1.jpg", "o/b/1.jpg", "n/b/1.jpg")
    ]
    assert both.only_old == ("1.jpg", "a/2.jpg")
    assert both.only_new == ("b/3.jpg",)


def test_names_pair_however_their_accents_are_written() -> None:
    composed, decomposed = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))
    old, new = rows("o/x.jpg", f"o/{composed}"), rows("n/x.jpg", f"n/{decomposed}")
    for by in (PairBy.PATH, PairBy.STEM, {decomposed: composed}):
        assert (composed, f"o/{composed}", f"n/{decomposed}") in found(old, new, by)


def test_names_that_pair_twice_are_refused() -> None:
    with pytest.raises(UsageError, match=r"NEW has two photographs that pair as 'x': a/x\.jpg and b/x\.jpg"):
        pair(rows("o/x.jpg"), rows("n/a/x.jpg", "n/b/x.jpg"), PairBy.STEM)


def test_sets_without_a_common_name_are_refused_with_what_they_have_and_what_to_try() -> None:
    with pytest.raises(
        UsageError, match=r"OLD \(x\.jpg\) pairs with one of NEW \(x\.webp\) by path; --pair-by stem"
    ):
        pair(rows("o/x.jpg"), rows("n/x.webp"))


def test_a_table_says_what_belongs_together(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("old,new,comment\nx.jpg,7.jpg,\no/y.jpg,n/8.jpg,\n")
    both = pair(
        rows("o/x.jpg", "o/y.jpg", "o/z.jpg"), rows("n/7.jpg", "n/8.jpg", "n/9.jpg"), read_pairs(table)
    )
    assert [(each.old["path"], each.new["path"]) for each in both.pairs] == [
        ("o/x.jpg", "n/7.jpg"),
        ("o/y.jpg", "n/8.jpg"),
    ]
    assert (both.only_old, both.only_new) == (("z.jpg",), ("9.jpg",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n", "must have the columns old and new"),
        ("old,new\nx,y\nx,z\n", "names 'x' twice in the column old"),
        ("old,new\nx,y\nz,y\n", "names 'y' twice in the column new"),
        (b"old,new\n\xff,y\n", "is not a CSV file in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, text: Any, words: str) -> None:
    table = tmp_path / "pairs.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=words):
        read_pairs(table)


def test_a_table_that_names_what_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"names 'n\.jpg', which NEW does not have"):
        pair(rows("o/x.jpg"), rows("n/y.jpg"), {"x.jpg": "n.jpg"})


def test_names_of_a_set_are_kept_where_there_is_no_common_folder() -> None:
    assert names_in_set(rows("a.jpg", "b/c.jpg")) == ["a.jpg", "b/c.jpg"]
    assert names_in_set(rows("/a.jpg", "b.jpg")) == ["/a.jpg", "b.jpg"]
