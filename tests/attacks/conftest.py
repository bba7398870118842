"""The same fixtures as for the tests of scoring: the tiny bundle, photographs, the program."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).resolve().parent.parent / "infer" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("scoring_fixtures", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE  # dataclasses look their module up there
_SPEC.loader.exec_module(_MODULE)

models = _MODULE.models
tiny_bundle = _MODULE.tiny_bundle
make_photo = _MODULE.make_photo
photos = _MODULE.photos
cli = _MODULE.cli
