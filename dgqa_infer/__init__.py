"""Blind image quality assessment: how good is this photograph, and what is wrong with it?

from dgqa_infer import Scorer

with Scorer() as scorer:
    print(scorer.score("photo.jpg").score)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from dgqa_infer.errors import BackendError, DgqaError, ImageError, ModelError, OutputError, UsageError
from dgqa_infer.results import Distortion, Failure, Score

if TYPE_CHECKING:
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.images.decode import DecodeLimits
    from dgqa_infer.scorer import Scorer

__all__ = [
    "BackendError",
    "Bundle",
    "DecodeLimits",
    "DgqaError",
    "Distortion",
    "Failure",
    "ImageError",
    "ModelError",
    "OutputError",
    "Score",
    "Scorer",
    "UsageError",
]

# ONNX Runtime's packages report each model's hash to their maker since 1.29, unless this is said before they
# are imported. Scoring opens no connection; whoever wants that one can set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# NumPy and Pillow take a third of a second to import; who only catches an error need not wait for them.
_LAZY = {"Bundle": "bundle.bundle", "DecodeLimits": "images.decode", "Scorer": "scorer"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
