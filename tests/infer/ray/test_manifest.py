"""Rows of two models, or of two ways of preparing photographs, are never in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer import Bundle, DecodeLimits, UsageError
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.options import ScoringOptions
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.manifest import claim, manifest, release
from dgqa_infer.ray.settings import Settings


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture
def destination(tmp_path: Path) -> Destination:
    return Destination(str(tmp_path / "rows"))


def of(bundle: Bundle, format: str = "parquet", sources: tuple[str, ...] = ("a",), **options: Any) -> Any:
    return manifest(bundle, Settings.of(bundle, ScoringOptions(**options)), format, sources, InputFinder())


def test_a_fresh_destination_is_taken_and_the_same_run_may_continue(
    bundle: Bundle, destination: Destination
) -> None:
    assert not claim(destination, of(bundle), resume=False)
    assert claim(destination, of(bundle), resume=True)


def test_without_resume_an_earlier_runs_rows_are_left_alone(bundle: Bundle, destination: Destination) -> None:
    claim(destination, of(bundle), resume=False)
    with pytest.raises(UsageError, match="holds the rows of an earlier run: continue it with --resume"):
        claim(destination, of(bundle), resume=False)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_other_things_in_it_is_refused(
    bundle: Bundle, destination: Destination, resume: bool
) -> None:
    destination.write("holiday.jpg", b"")
    with pytest.raises(UsageError, match=r"rows is not empty \(holiday\.jpg\)"):
        claim(destination, of(bundle), resume=resume)


def test_another_model_is_refused(
    bundle: Bundle, destination: Destination, models: Any, tmp_path: Path
) -> None:
    claim(destination, of(bundle), resume=False)
    other = models.write(tmp_path / "other", name="other")
    with pytest.raises(UsageError, match=r'another model \("tiny@[0-9a-f]{8}", now "other@[0-9a-f]{8}"\)'):
        claim(destination, of(other), resume=True)


def test_other_preprocessing_is_refused_though_the_model_has_the_same_name(
    bundle: Bundle, destination: Destination, models: Any, tmp_path: Path
) -> None:
    from dataclasses import replace

    claim(destination, of(bundle), resume=False)
    way = replace(bundle.card.preprocessing, id="test-short48-grid5-32", short_side=48)
    other = models.write(tmp_path / "tiny", preprocessing=way)
    assert other.model_id == bundle.model_id
    with pytest.raises(UsageError, match="another preprocessing"):
        claim(destination, of(other), resume=True)


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("format of the rows", {"format": "jsonl"}),
        ("--explain", {"explain": True}),
        ("--strict", {"strict": True}),
        ("limits of what is decoded", {"limits": DecodeLimits(pixels=1)}),
        ("photographs named", {"sources": ("b",)}),
    ],
)
def test_other_rows_of_the_same_model_are_refused(
    bundle: Bundle, destination: Destination, word: str, options: dict[str, Any]
) -> None:
    claim(destination, of(bundle), resume=False)
    with pytest.raises(UsageError, match=f"begun with another {word}"):
        claim(destination, of(bundle, **options), resume=True)


@pytest.mark.parametrize("otherwise", [Bundle.with_scaled_decoding, Bundle.with_gpu_decoding])
def test_another_way_of_decoding_is_another_model(
    bundle: Bundle, destination: Destination, otherwise: Callable[[Bundle], Bundle]
) -> None:
    claim(destination, of(bundle), resume=False)
    with pytest.raises(UsageError, match="another model"):
        claim(destination, of(otherwise(bundle)), resume=True)


def test_a_destination_that_was_given_up_can_be_taken_again(bundle: Bundle, destination: Destination) -> None:
    claim(destination, of(bundle), resume=False)
    release(destination)
    assert not claim(destination, of(bundle), resume=False)


def test_credentials_are_not_written_down_and_fresh_signatures_continue_a_run(
    bundle: Bundle, destination: Destination
) -> None:
    claim(destination, of(bundle, sources=("https://me:pw@host/a.jpg?sig=1",)), resume=False)
    assert b"pw" not in (destination.read("_dgqa/run.json") or b"")
    assert claim(destination, of(bundle, sources=("https://me:new@host/a.jpg?sig=2",)), resume=True)
    with pytest.raises(UsageError, match="another photographs named"):
        claim(destination, of(bundle, sources=("https://me:new@host/b.jpg?sig=2",)), resume=True)
