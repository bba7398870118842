from __future__ import annotations

import pytest

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
