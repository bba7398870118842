"""Requests that are refused, and what photographs without a score mean in HTTP."""

from __future__ import annotations

from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from dgqa_infer.errors import ErrorCode
from dgqa_infer.service.answers import JsonAnswer

STATUS_OF: Final = MappingProxyType[ErrorCode, int](
    {
        "too_large": 413,
        "unsupported": 415,
        "empty": 422,
        "corrupt": 422,
        "truncated": 422,
        "timed_out": 422,
        "crashed": 422,
        "not_finite": 422,
    }
)
"""The status of an answer about one photograph; `not_found` and `unreadable` are of files alone."""

_CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "upload_timed_out",
    413: "too_large",
    429: "busy",
    500: "internal",
    503: "unavailable",
}


class Refusal(Exception):
    """A request that has no row.

    Attributes:
        status: of HTTP.
        message: what happened and what to do.
        headers: of the answer, besides the usual ones.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def response(self) -> JsonAnswer:
        """The answer: an object with `error`, as a row without a score has it."""
        code = _CODES.get(self.status, HTTPStatus(self.status).phrase.lower().replace(" ", "_"))
        return JsonAnswer(
            {"error": {"code": code, "message": self.message}}, self.status, headers=self.headers
        )
