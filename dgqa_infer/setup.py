"""What else than the file decides whether it has a score, and what its row holds: options and versions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from dgqa_infer.images.decode import CORRUPT_DATA

if TYPE_CHECKING:
    from dgqa_infer.options import ScoringOptions
    from dgqa_infer.results import Row

# What reads files, of our own and of the extras.
_READERS = (
    *("dgqa-infer", "pillow", "simplejpeg", "imagecodecs", "pillow-jxl-plugin", "pillow-heif", "rawpy"),
    *("fsspec", "aiohttp", "s3fs", "gcsfs", "adlfs", "nvidia-nvimgcodec-cu13"),
)
# These have no part in whether there is a score.
_IRRELEVANT = ("explain", "maps", "threads", "batch_size", "precision")


def setup_of(options: ScoringOptions) -> str:
    """A name for how a run scores: a failure under another one may be none under this one.

    Args:
        options: of the run.

    Returns:
        Eight hexadecimal digits.
    """
    chosen = {name: value for name, value in asdict(options).items() if name not in _IRRELEVANT}
    installed = {name: _version(name) for name in _READERS}
    text = json.dumps([chosen, installed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_as_asked(row: Row, options: ScoringOptions) -> bool:
    """Whether the row of a score is what a run with these options would have written, or holds more.

    Args:
        row: of an earlier run with the same model.
        options: of the run; whether a photograph has its map is not in the row.
    """
    asked = {"distortions", "attributes"} if options.explain else set()
    if options.explain == "all":
        asked.add("probabilities")
    # Such a photograph is a failure now.
    refused = options.strict and CORRUPT_DATA in row.get("warnings", ())
    return asked <= set(row) and not refused


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
