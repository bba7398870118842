"""An archive's own file, wherever it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from dgqa_infer.inputs import stores, web
from dgqa_infer.inputs.addresses import WEB, is_remote, scheme_of

# An archive behind a web address is read whole.
_WEB_ARCHIVE_BYTES = 500_000_000


def open_archive_file(archive: str, *, allow_private: bool = False) -> IO[bytes]:
    """Open an archive's own file.

    Args:
        archive: a path, or an address.
        allow_private: as in `read`.

    Raises:
        ImageError: "unsupported" for an address of another kind, or without the extra.
        OSError: it cannot be opened.
    """
    if not is_remote(archive):
        return Path(archive).open("rb")
    if scheme_of(archive) in WEB:
        return io.BytesIO(web.fetch(archive, _WEB_ARCHIVE_BYTES, allow_private=allow_private))
    system, path = stores.open_system(archive)
    found: IO[bytes] = stores.bounded(lambda: system.open(path, "rb"))
    return found
