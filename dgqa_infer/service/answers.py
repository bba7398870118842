"""Answers in JSON, spelled as rows are in files and on the command line."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from dgqa_infer.text import as_json


class JsonAnswer(JSONResponse):
    """An answer whose text drives no terminal, and that any name a client gives can stand in."""

    def render(self, content: Any) -> bytes:
        """Bytes of the answer."""
        return as_json(content).encode()
