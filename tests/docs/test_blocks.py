"""Every shell and Python block of the documentation runs here as a reader would run it.

A page is one test: its blocks run in order, in a folder of its own, with the real program and the built-in
model. What pages take for granted stands in that folder (see `folder` in `conftest.py`). Comments right above
a block, in the page's source, say what is special about it; CONTRIBUTING.md lists them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from printed import agrees

ROOT = Path(__file__).resolve().parents[2]
# Written by typer from the program, with usages such as `score [OPTIONS] PATH...`; see test_reference.py.
GENERATED = {"docs/cli.md"}
PAGES = sorted(
    name
    for name in (
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
    )
    if name not in GENERATED
)

SHELL = {"console", "sh"}
RUN = SHELL | {"python"}
SHOWN = {"text", "json", "toml", "yaml", "diff", "cpp", "typescript", "html"}
MARKS = {"not run", "needs", "exits", "file", "shows"}
APPEND = "tests append to "
REASONS = {
    "GPU": "there is none where the tests run",
    "server": "it would have to be installed",
    "network": "clones or installs",
    "recursion": "it would run the tests",
    "minutes": "it takes them, and nothing makes it shorter",
    "data": "it needs a file that cannot be shipped",
}
NOT_RUN = {
    "CONTRIBUTING.md": {"network": 1, "recursion": 1},
    "README.md": {"recursion": 1},
    "docs/adapting.md": {"minutes": 2, "GPU": 1},
    "docs/browser.md": {"network": 1},
    "docs/device.md": {"network": 1},
    "docs/domains.md": {"minutes": 4},
    "docs/embedding.md": {"GPU": 1, "server": 1},
    "docs/export.md": {"minutes": 1},
    "docs/serving.md": {"server": 2},
    "docs/speed.md": {"GPU": 1, "minutes": 1},
    "docs/which-types.md": {"minutes": 3},
}
"""How many blocks of each page are not run, and for which kind of reason."""
ELSEWHERE = {"docs/browser.md", "docs/cluster.md", "docs/device.md"}
"""Their blocks run in tests/web, tests/infer/ray and tests/examples, with what they need."""
SECONDS = 240

_MARK = re.compile(r"<!--\s*([a-z ]+):\s*(.*?)\s*-->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: line of its fence, language, text, and the marks above it."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]

    def script(self) -> str:
        """What bash is given: what is typed, without what is shown."""
        text = self.text
        if self.language == "console":
            # What is typed goes on while its lines end in a backslash.
            text = "\n".join(re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.M))
        for mark, options in self.marks.items():
            if mark.startswith(APPEND):
                command = f"dgqa-infer {mark.removeprefix(APPEND)}"
                text = re.sub(rf"^({command}\b.*?)( +# .*)?$", rf"\1 {options}", text, flags=re.M)
        return text


def blocks(page: str) -> Iterator[Block]:
    tokens = MarkdownIt("commonmark").parse((ROOT / page).read_text(encoding="utf-8"))
    above = ""
    for token in tokens:
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            marks = dict(_MARK.findall(above))
            yield Block(page, token.map[0] + 1, token.info.strip(), token.content, marks)
        above = above + token.content if token.type == "html_block" else ""


def tells(page: str) -> bool:
    """Whether a page has anything to run."""
    return any(block.language in RUN and "not run" not in block.marks for block in blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is_and_every_mark_is_known(page: str) -> None:
    """So that none escapes: a block without a language would be shown and never run."""
    for block in blocks(page):
        where = f"{page}:{block.line}"
        assert block.language in RUN | SHOWN, f"{where}: language {block.language!r}"
        unknown = [mark for mark in block.marks if mark not in MARKS and not mark.startswith(APPEND)]
        assert not unknown, f"{where}: {unknown}"
        if block.language == "console":
            assert block.script(), f"{where}: no line begins with '$ '"


@pytest.mark.parametrize("page", PAGES)
def test_as_many_blocks_are_not_run_as_are_listed_here(page: str) -> None:
    found: Counter[str] = Counter()
    for block in blocks(page):
        if (reason := block.marks.get("not run")) is not None:
            kind, _, why = reason.partition(": ")
            assert kind in REASONS, f"{page}:{block.line}: {kind!r} is none of {sorted(REASONS)}"
            assert why, f"{page}:{block.line}: say why"
            found[kind] += 1
    assert found == NOT_RUN.get(page, {}), f"{page}: NOT_RUN in {Path(__file__).name} counts them"


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("page", [page for page in PAGES if tells(page) and page not in ELSEWHERE])
def test_what_a_page_tells_to_run_runs(
    page: str, folder: Callable[[str], Path], reader: Callable[[Path], dict[str, str]]
) -> None:
    here, printed = folder(page), ""
    for block in blocks(page):
        if "shows" in block.marks:
            where = f"{page}:{block.line} is not what was printed:"
            assert agrees(block.text, printed), f"{where}\n{printed}"
        if (name := block.marks.get("file")) is not None:
            (here / name).write_text(block.text, encoding="utf-8")
        if block.language not in RUN or "not run" in block.marks:
            continue
        if (needed := block.marks.get("needs")) is not None and find_spec(needed) is None:
            continue
        if block.language == "python":
            command = [sys.executable, "-c", block.text]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.script()]
        ran = subprocess.run(
            command,
            cwd=here,
            env=reader(here),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        printed = ran.stdout
        told = f"{page}:{block.line}\n{command[-1]}\n{printed[-6000:]}"
        assert ran.returncode == int(block.marks.get("exits", 0)), told
