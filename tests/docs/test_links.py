"""Every link and picture of a page that points into the repository points at something that is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")],
)


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, those within a line included."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        name = {"link_open": "href", "image": "src"}.get(token.type)
        if name is not None and not re.match(r"[a-z]+:", target := str(token.attrs[name])):
            yield unquote(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What forges call a page's headings: lower-case, without punctuation, hyphens for spaces."""
    found, times = set(), Counter[str]()
    before = None
    for token in tokens(page):
        if before is not None and before.type == "heading_open":
            text = "".join(child.content for child in token.children or ())
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{name}-{times[name]}" if times[name] else name)
            times[name] += 1
        before = token
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_what_a_page_links_to_is_there(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        found = target.exists() and target.is_relative_to(ROOT)
        if not found or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in PAGES if page.parent == index.parent} - linked == {index}


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`, three\n\n## Same\n\n## Same\n\n[a](b.md#c) ![p](p.png) [w](https://w.example)\n"
    )
    assert list(links(page)) == ["b.md#c", "p.png"]
    assert anchors(page) == {"one-two-three", "same", "same-1"}
