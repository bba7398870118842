"""Blind image quality assessment: how good is this photograph, and what is wrong with it?"""

from __future__ import annotations

from dgqa_infer.errors import BackendError, DgqaError, ImageError, ModelError, OutputError, UsageError
from dgqa_infer.results import Distortion, Failure, Score

__all__ = [
    "BackendError",
    "DgqaError",
    "Distortion",
    "Failure",
    "ImageError",
    "ModelError",
    "OutputError",
    "Score",
    "UsageError",
]
