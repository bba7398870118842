"""A comparison as one HTML file: figures, faults, and the worst pairs as pictures.

It has no script. Names are escaped, and the page's policy allows its own style and the pictures that are in
it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from PIL import Image

from dgqa_infer.comparison.compare import Comparison, difference
from dgqa_infer.comparison.intervals import Differences, signed
from dgqa_infer.comparison.pairing import Pair
from dgqa_infer.inputs.local import local_file
from dgqa_infer.outputs.faults import faults_of
from dgqa_infer.outputs.html.thumbnails import data_url, thumbnails
from dgqa_infer.outputs.reasons import NO_FAULT
from dgqa_infer.results import Row
from dgqa_infer.statistics import ranked
from dgqa_infer.text import printable

SIDE: Final = 640
"""Longest side of a picture, in pixels."""

_POLICY = "default-src 'none'; img-src data:; style-src '{}'; base-uri 'none'; form-action 'none'"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Photograph quality: two sets compared</title>
<style>{style}</style>
</head>
<body>
<header><h1>Two sets compared</h1><p>{about}</p></header>
<main>
{body}
</main>
<footer><p>Made by {program}. Nothing on this page comes from elsewhere.</p></footer>
</body>
</html>
"""


def page(found: Comparison, old: str, new: str) -> bytes:
    """The page.

    Args:
        found: what to show; pictures are read again from the files that its rows name.
        old: what the old set is called.
        new: likewise.
    """
    style = files("dgqa_infer.outputs.html").joinpath("page.css").read_text(encoding="utf-8")
    style += files("dgqa_infer.comparison").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    about = f"{_text(old)} → {_text(new)}: {found.all.pairs:,} pairs, scored by {_text(found.model)}"
    body = "\n".join([_verdict(found), _tiles(found.all), _folders(found), _faults(found), _worst(found)])
    made = f"dgqa-infer {version('dgqa-infer')}"
    return _PAGE.format(
        policy=_POLICY.format(f"sha256-{digest}"), style=style, about=about, body=body, program=made
    ).encode()


def _verdict(found: Comparison) -> str:
    lines = []
    if found.verdict is not None:
        word, kind = ("passed", "good") if found.verdict.passed else ("failed", "bad")
        lines.append(f'<p class="verdict {kind}"><b>{word}</b>: {_text(found.verdict.sentence)}</p>')
    if lost := found.new_failures:
        names = ", ".join(_text(each.name) for each in lost[:10])
        lines.append(f'<p class="verdict bad">{len(lost):,} new photographs have no score: {names}</p>')
    return "\n".join(lines)


def _tiles(all: Differences) -> str:
    tiles = [
        (all.mean.signed(), "mean difference [95 %]"),
        (all.median.signed(), "median difference [95 %]"),
        (
            f"{all.win_rate.value:.0%}",
            f"of the new ones are better [{all.win_rate.low:.0%}, {all.win_rate.high:.0%}]",
        ),
    ]
    items = "".join(
        f'<li><span class="value">{value}</span><span class="label">{label}</span></li>'
        for value, label in tiles
    )
    return f'<ul class="tiles">{items}</ul>'


def _folders(found: Comparison) -> str:
    if not found.folders:
        return ""
    lines = ["".join(f"<th>{each}</th>" for each in ("folder", "pairs", "mean", "median", "new is better"))]
    for name, each in sorted(found.folders.items(), key=lambda item: item[1].mean.value):
        figures = (f"{each.pairs:,}", each.mean.signed(), each.median.signed(), each.win_rate.percent())
        lines.append(
            f"<td>{_text(name)}</td>" + "".join(f'<td class="numeric">{figure}</td>' for figure in figures)
        )
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    heading = "<h2>By folder</h2>"
    return f'<section class="card">{heading}<div class="scroll"><table>{table}</table></div></section>'


def _faults(found: Comparison) -> str:
    if not found.explained:
        return ""
    return (
        '<div class="columns even">'
        + _counts("Faults gained", found.gained, found.explained)
        + _counts("Faults lost", found.lost, found.explained)
        + "</div>"
    )


def _counts(title: str, counts: Counter[str], pairs: int) -> str:
    items = "".join(f"<li>{_text(name)}: {number:,}</li>" for name, number in ranked(counts))
    hint = f'<p class="hint">of {pairs:,} pairs</p>'
    return f'<section class="card"><h2>{title}</h2>{hint}<ul>{items or "<li>none</li>"}</ul></section>'


def _worst(found: Comparison) -> str:
    pairs = found.worst()
    if not pairs:
        return ""
    pictures = _pictures(pairs)
    items = "".join(_pair(each, pictures) for each in pairs)
    return f'<section class="card"><h2>The greatest drops</h2><ul class="pairs">{items}</ul></section>'


def _pair(pair: Pair, pictures: dict[str, str]) -> str:
    head = f"<h3>{_text(pair.name)} <b>{signed(difference(pair))}</b></h3>"
    shown = "".join(_figure(row, pictures, word) for row, word in ((pair.old, "old"), (pair.new, "new")))
    return f'<li>{head}<div class="two">{shown}</div></li>'


def _figure(row: Row, pictures: dict[str, str], word: str) -> str:
    path = str(row["path"])
    picture = pictures.get(path)
    frame = f'<img src="{picture}" alt="">' if picture else '<span class="none">no picture</span>'
    found = faults_of(row)
    words = "" if found is None else f" · {_text(', '.join(found) or NO_FAULT)}"
    return f"<figure>{frame}<figcaption>{word} <b>{row['score']:.1f}</b>{words}</figcaption></figure>"


def _pictures(pairs: Sequence[Pair]) -> dict[str, str]:
    """Path → picture, of the photographs that are still what was scored."""
    rows = {str(row["path"]): row for each in pairs for row in (each.old, each.new)}
    there = {path: file for path in rows if (file := local_file(path, None)) is not None}

    def same(path: str, size: int | None) -> bool:
        return rows[path].get("size") in (None, size)

    return {
        path: data_url(Image.fromarray(picture), "WEBP")
        for path, picture in thumbnails(there, SIDE, wanted=same)
    }


def _text(text: str) -> str:
    return escape(printable(text))
