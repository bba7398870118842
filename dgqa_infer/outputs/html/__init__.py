"""A report as one HTML file: its style, its script, its data and its pictures are all in it.

Rows are written as they come, so a million take no more memory than ten. Whatever comes from files and their
names is data: JSON in a script element that is never run, with no character in it that HTML knows, and put
into the page as text. The page's policy allows its own style and script, by their hashes, and pictures that
are in it; nothing else is run or fetched, whatever a name says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from array import array
from importlib.metadata import version
from importlib.resources import files
from typing import BinaryIO, Final, Self

from dgqa_infer.outputs.html.digest import Digest, compact, refused
from dgqa_infer.outputs.html.pictures import Picturing, Progress
from dgqa_infer.outputs.reasons import measured
from dgqa_infer.results import Row

TABLE_ROWS: Final = 100_000
"""Rows that the table holds; what is above it in the page is of all rows."""
DEFAULT_MODEL: Final = "dgqa-lite0"
SCRIPTS: Final = ("core.js", "figures.js", "photographs.js", "viewer.js")

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class HtmlSink:
    """Writes each row as it comes, and what is made of all of them at the end.

    Attributes:
        notes: at the end, what a person should know of the report, a sentence each.
    """

    def __init__(
        self,
        stream: BinaryIO,
        model: str = DEFAULT_MODEL,
        picturing: Picturing | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Begin the page.

        Args:
            stream: where it goes.
            model: name or folder of the bundle that scored; only its own rows have quality maps.
            picturing: which pictures are in it, and where their files are.
            progress: told how many pictures are drawn and how many there will be.
        """
        self._stream = stream
        self._model, self._picturing = model, picturing or Picturing()
        self._progress = progress
        self._digest = Digest(self._picturing.worst)
        self._measured = array("H")  # of the rows that the table holds, one after the other
        self.notes: list[str] = []
        style = _part("page.css")
        script = "\n".join(['"use strict";', "(() => {", *map(_part, SCRIPTS), "})();"])
        page = _part("page.html")
        for name, text in (
            ("{{style-hash}}", _policy_hash(style)),
            ("{{script-hash}}", _policy_hash(script)),
            ("{{style}}", style),
            ("{{script}}", script),
        ):
            page = page.replace(name, text)
        head, rest = page.split("{{rows}}")
        self._middle, rest = rest.split("{{report}}")
        self._before_pictures, self._tail = rest.split("{{pictures}}")
        self._write(head + "[")

    def write(self, row: Row) -> None:
        """Write one row.

        Raises:
            ValueError: it is no row of ours; says why.
        """
        place = self._digest.total
        short = compact(row, self._digest.names)
        with refused():
            found = measured(row)
        self._digest.count(row, short, found)
        if place < TABLE_ROWS:
            self._measured.extend(found)
            self._write((",\n" if place else "\n") + script_json(short))

    def _complete(self) -> None:
        from dgqa_infer.outputs.html.ending import ending, why

        made = f"dgqa-infer {version('dgqa-infer')}"
        fields, pictures, self.notes = ending(self._digest, self._model, self._picturing, self._progress)
        self._write("\n]" + self._middle)
        said = why(self._measured, self._digest.measured)
        self._write(script_json(self._digest.as_json() | fields | said | {"program": made}))
        # In a part of their own: they are most of the page.
        self._write(self._before_pictures + script_json(pictures) + self._tail)

    def _write(self, text: str) -> None:
        self._stream.write(text.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None:
        if kind is None:
            self._complete()

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return self._digest.total


def script_json(data: object) -> str:
    """JSON that is nothing else, wherever in an HTML page it stands.

    All is ASCII, so no line separator of Unicode's is in it, and no character that begins or ends markup.
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _part(name: str) -> str:
    return files("dgqa_infer.outputs.html").joinpath(name).read_text(encoding="utf-8")


def _policy_hash(text: str) -> str:
    """How a page's policy names a style or a script that it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
