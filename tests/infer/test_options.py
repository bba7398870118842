from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from dgqa_infer import Bundle, UsageError
from dgqa_infer.options import ScoringKeywords, ScoringOptions


def test_the_keywords_are_the_fields() -> None:
    hints = get_type_hints(ScoringOptions)
    assert get_type_hints(ScoringKeywords) == {
        field.name: hints[field.name] for field in fields(ScoringOptions)
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 0}, "batch size is 0"),
        ({"decoding": "nvjpeg"}, "decoding is 'nvjpeg'"),
        ({"decoding": "gpu", "strict": True}, "does not report damaged data"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ScoringOptions(**wrong)
    with pytest.raises(UsageError, match=said):
        ScoringOptions().changed(**wrong)


def test_options_travel_to_other_machines() -> None:
    options = ScoringOptions(explain=True, decoding="scaled")
    assert pickle.loads(pickle.dumps(options)) == options


def test_other_pixels_are_another_model_in_rows(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    found = [ScoringOptions(decoding=way).bundle_for(bundle).model_id for way in ("model", "scaled", "gpu")]
    assert found == [bundle.model_id, f"{bundle.model_id}+scaled", f"{bundle.model_id}+nvjpeg"]
