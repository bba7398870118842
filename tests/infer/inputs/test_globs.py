from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer.inputs.globs import matches


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a/b/IMG_1.JPG", "*.jpg"),
        ("a/b/c.jpg", "*"),
        ("a/b/c.jpg", "a/**"),
        ("a/b/c.jpg", "**/c.jpg"),
        ("c.jpg", "**/c.jpg"),
        ("a/b/c.jpg", "a/*/c.???"),
        ("a/b/c.jpg", "**"),
        ("1[a].jpg", "1[[]a].jpg"),
        ("x5.png", "x[0-9].png"),
        ("xa.png", "x[!0-9].png"),
        ("a+b.jpg", "a+b.jpg"),
        ("thumbs", "thumbs"),
        ("[", "["),
        ("line\nfeed.jpg", "*.jpg"),
    ],
)
def test_patterns_that_fit(path: str, pattern: str) -> None:
    assert matches(path, pattern)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a/b/c.jpg", "a/*"),
        ("a/b/c.jpg", "b"),
        ("ab/c.jpg", "a/**"),
        ("xc.jpg", "**/c.jpg"),
        ("aXb.jpg", "a.b.jpg"),
        ("x5.png", "x[!0-9].png"),
        ("a/b.jpg", "a?b.jpg"),
    ],
)
def test_patterns_that_do_not_fit(path: str, pattern: str) -> None:
    assert not matches(path, pattern)


PATTERNS = st.lists(
    st.sampled_from(["*", "?", "a", "B", ".", "[ab]", "[!a]", "[]b]", "[!]a]", "[", "]", "!"]), max_size=8
).map("".join)
# Two stars have a meaning of their own.
ONE_STAR = PATTERNS.map(lambda pattern: re.sub(r"\*+", "*", pattern))


@given(st.text("abAB.[]!", max_size=10), ONE_STAR)
@settings(deadline=None, max_examples=300)
def test_names_match_as_python_s_fnmatch_has_them(name: str, pattern: str) -> None:
    assert matches(name, pattern) == fnmatch.fnmatchcase(name.lower(), pattern.lower())


def fits(path: str, parts: list[str]) -> bool:
    """The module's words, followed literally: every way to share the path out is tried."""
    if not parts:
        return not path
    part, rest = parts[0], parts[1:]
    if part == "**/":
        cuts = [0, *(at + 1 for at, character in enumerate(path) if character == "/")]
    elif part == "**":
        cuts = list(range(len(path) + 1))
    elif part == "*":
        cuts = [at for at in range(len(path) + 1) if "/" not in path[:at]]
    else:
        cuts = [1] if path and (path[0] == part or (part == "?" and path[0] != "/")) else []
    return any(fits(path[cut:], rest) for cut in cuts)


@given(
    st.text("ab/", max_size=9), st.lists(st.sampled_from(["**/", "**", "*", "?", "a", "b", "/"]), max_size=7)
)
@settings(deadline=None, max_examples=300)
def test_paths_match_as_every_way_to_share_them_out_says(path: str, parts: list[str]) -> None:
    pattern = "".join(parts)
    # Written side by side, parts may read as others: take them as the pattern is read, from left to right.
    parts = re.findall(r"\*\*/|\*\*|\*|[^*]", pattern)
    subject = path if "/" in pattern else path.rpartition("/")[2]
    assert matches(path, pattern) == fits(subject, parts)


@pytest.mark.parametrize("pattern", ["*_*_*_*_*.png", "**/*a*a*a*a*a*b", "**/**/**/**/x", "*?" * 60 + "x"])
def test_no_pattern_takes_longer_than_its_length_and_the_path_s(pattern: str) -> None:
    read = []

    class Counted(str):
        """A path that says when a character of it is read."""

        def __iter__(self) -> Iterator[str]:
            for character in str.__iter__(self):
                read.append(character)
                yield character

        def rpartition(self, _: str) -> tuple[str, str, str]:  # type: ignore[override]
            return "", "", self

    path = Counted("_" * 2000 + "/a" * 2000)
    assert not matches(path, pattern)
    assert len(read) <= len(path)
