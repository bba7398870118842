"""What else than the file decides whether it can be scored: limits, options, versions and extras."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgqa_infer.options import ScoringOptions

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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
