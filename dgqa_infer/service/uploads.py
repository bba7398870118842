"""A request's body becomes photographs: within its size, its time, and the memory that all bodies share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from dgqa_infer.inputs.files import Encoded
from dgqa_infer.service.refusals import Refusal

_NAME_LENGTH: Final = 1024
_FORM: Final = b"multipart/form-data"
_NO_FILE: Final = "a form brings photographs as files: give each part a filename, and send no other fields"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What uploads may take.

    Attributes:
        request_bytes: body of one request.
        total_bytes: bodies of all requests that are being received, waited for or scored.
        seconds: from a request's first line to the end of its body.
    """

    request_bytes: int
    total_bytes: int
    seconds: float


class Uploads:
    """The memory of all bodies that are here; for one event loop.

    Attributes:
        limits: what uploads may take.
        bytes_held: by all of them now.
    """

    def __init__(self, limits: UploadLimits) -> None:
        """Begin without any."""
        self.limits = limits
        self.bytes_held = 0


class Upload:
    """One request's body; a context manager that gives its memory back."""

    def __init__(self, uploads: Uploads, request: Request, *, most: int, retry_after: int) -> None:
        """Say what is received.

        Args:
            uploads: all that are here.
            request: whose body it is.
            most: photographs that one request may bring.
            retry_after: seconds, for whom there is no memory.
        """
        self._uploads, self._request = uploads, request
        self._most, self._retry_after = most, retry_after
        self._held = 0

    async def photographs(self, *, measure: bool) -> tuple[list[Encoded], bool]:
        """Receive the body.

        Args:
            measure: whether their attributes are to be measured.

        Returns:
            The photographs, and whether it was a form, which may bring any number of them.

        Raises:
            Refusal: the body is too large, too slow, a broken form, or there is no memory for it.
            ClientDisconnect: whoever sent it has left.
        """
        limits, request = self._uploads.limits, self._request
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limits.request_bytes:
            raise self._too_large()
        kind, _ = parse_options_header(request.headers.get("content-type"))
        try:
            async with asyncio.timeout(limits.seconds):
                if kind == _FORM:
                    return await self._form(measure=measure), True
                data = b"".join([chunk async for chunk in self._chunks()])
                return [Encoded(data, measure=measure)], False
        except TimeoutError:
            message = f"the body did not arrive within {limits.seconds:g} s"
            raise Refusal(408, message, {"Connection": "close"}) from None

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._uploads.bytes_held -= self._held

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        limits = self._uploads.limits
        async for chunk in self._request.stream():
            self._held += len(chunk)
            self._uploads.bytes_held += len(chunk)
            if self._held > limits.request_bytes:
                raise self._too_large()
            if self._uploads.bytes_held > limits.total_bytes:
                raise Refusal(
                    429,
                    f"too much is being sent: all bodies together may have {limits.total_bytes:,} bytes; "
                    f"try again in {self._retry_after} s",
                    {"Retry-After": str(self._retry_after)},
                )
            yield chunk

    async def _form(self, *, measure: bool) -> list[Encoded]:
        parser = _InMemory(self._request.headers, self._chunks(), max_files=self._most, max_fields=0)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if parser.too_many:
                message = f"a request may bring at most {self._most} photographs: send several requests"
                raise Refusal(413, message) from None
            message = _NO_FILE if parser.has_fields else f"this is no form with files: {error.message}"
            raise Refusal(400, message) from None
        except UnicodeError:
            # Python has encodings that decode nothing, and the form may ask for one of them.
            raise Refusal(400, "a name in this form is not in the form's charset") from None
        found = []
        try:
            for _, part in form.multi_items():
                assert isinstance(part, UploadFile), "max_fields is 0"
                if len(name := part.filename or "") > _NAME_LENGTH:
                    raise Refusal(400, f"a file's name is longer than {_NAME_LENGTH} characters")
                found.append(Encoded(await part.read(), name or None, measure))
        finally:
            await form.close()
        if not found:
            raise Refusal(400, _NO_FILE)
        return found

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self._uploads.limits.request_bytes:,} bytes")


class _InMemory(MultiPartParser):
    """Starlette's parser, without files on disk: the size is bounded already."""

    spool_max_size = 2**62

    @property
    def too_many(self) -> bool:
        return self._current_files > self.max_files

    @property
    def has_fields(self) -> bool:
        return self._current_fields > 0
