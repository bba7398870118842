"""Which photographs are asked for what, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgqa_export.adaptation.survey import SAMPLE, VERIFIED, Survey, Surveyed
from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.results import Failure

BROKEN = "broken.jpg"


class FakePipeline:
    """Gives each input what the survey asks for; its features are its place in the run."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.seen: list[str] = []

    def run(self, inputs):
        for index, found in enumerate(inputs):
            self.seen.append(found if isinstance(found, str) else "an error")
            if isinstance(found, ImageError) or found.endswith(BROKEN):
                yield Outcome(Failure(None, "corrupt", "x", "m"), None, None)
                continue
            features = np.full(2, float(index)) if self.survey.asks_features(index) else None
            crops = np.zeros((1, 8, 8, 3), np.uint8) if self.survey.asks_crops(index) else None
            yield Outcome(Surveyed(found, np.zeros(26), features, crops), 1, 1.0)


def made(survey: Survey) -> tuple[list[str], int]:
    """What was decoded, and how many photographs voted."""
    pipeline = FakePipeline(survey)
    votes = list(survey.votes(pipeline))  # type: ignore[arg-type]
    return pipeline.seen, len(votes)


def names(count: int) -> list[str]:
    return [f"photos/{number:05d}.jpg" for number in range(count)]


def test_every_photograph_is_decoded_once_and_votes_once() -> None:
    found = names(3 * SAMPLE + 7)
    survey = Survey(found)
    assert made(survey) == (found, len(found))
    assert len(survey.sample) <= SAMPLE
    features, here = survey.features(survey.sample)
    assert features[:, 0].tolist() == list(survey.sample)
    assert here.all()
    assert len(survey.verification()[1]) == VERIFIED


def test_rated_photographs_are_found_among_the_others_however_they_are_spelled() -> None:
    found = names(2 * SAMPLE)
    survey = Survey(found, [Path("./photos/../photos/00003.jpg"), Path("elsewhere/a.jpg")])
    seen, voted = made(survey)
    assert seen == [*found, "elsewhere/a.jpg"]
    assert voted == len(found)
    assert survey.features(survey.rated)[0][:, 0].tolist() == [3, len(found)]


def test_a_survey_that_goes_on_looks_again_only_at_what_it_needs() -> None:
    found = names(4 * SAMPLE)
    voted = 2 * SAMPLE + 1
    survey = Survey(found, voted=voted)
    seen, votes = made(survey)
    again = [place for place in survey.sample if place < voted]
    assert seen == [found[place] for place in again] + found[voted:]
    assert votes == len(found) - voted
    assert survey.features(survey.sample)[1].all()


def test_what_cannot_be_read_is_left_out() -> None:
    survey = Survey(["a.jpg", BROKEN, ImageError("unreadable", "x", "folder"), "b.jpg"])
    assert made(survey)[1] == 4
    features, here = survey.features(survey.sample)
    assert (len(features), here.tolist()) == (2, [True, False, True])


def test_without_a_readable_photograph_there_is_nothing_to_learn_or_to_verify_on() -> None:
    survey = Survey([BROKEN])
    made(survey)
    with pytest.raises(UsageError, match="none of 1 photographs can be read"):
        survey.features(survey.sample)
    with pytest.raises(UsageError, match="to verify the model on can be read"):
        survey.verification()
