"""Photographs vote for domains: what `select` and `adapt` have in common."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgqa_infer.domains.classifier import DomainClassifier, DomainLogits
from dgqa_infer.domains.profile import DomainProfile, votes_of
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.results import Failure

if TYPE_CHECKING:
    from dgqa_infer.cli._output import Output
    from dgqa_training.selection.votes import DomainSelection

_NAMED = 10
"""Photographs without a vote that are named to a person; the JSON names all."""

_SAVE_EVERY = 500
_FORETOLD = 32  # photographs after which it is said how long all will take


@dataclass(slots=True)
class Vote:
    """What photographs said so far.

    Attributes:
        profile: their votes.
        failures: those that could not be read.
    """

    profile: DomainProfile = field(default_factory=DomainProfile)
    failures: list[Failure] = field(default_factory=list)

    @property
    def photographs(self) -> int:
        """How many were looked at."""
        return self.profile.photos + len(self.failures)

    def selection(self) -> DomainSelection:
        """What DGQA's rule makes of the votes; there must be some."""
        from dgqa_training.selection.votes import DomainSelection

        return DomainSelection.of(self.profile)


def count_votes(
    outcomes: Iterable[Outcome[Any]],
    vote: Vote,
    output: Output,
    total: int | None = None,
    save: Callable[[Vote], None] = lambda _: None,
) -> None:
    """Count the votes of photographs; those that cannot be read are counted and named on stderr.

    Args:
        outcomes: of a pipeline whose results are `DomainLogits`, in a stable order.
        vote: that these go on with.
        output: tells people.
        total: number of photographs, for the progress bar.
        save: handed the vote from time to time, and where counting is broken off.
    """
    with output.progress("looking at photographs", total) as bar:
        bar.advance(vote.photographs)
        before, began = vote.photographs, time.monotonic()
        try:
            for outcome in outcomes:
                if isinstance(outcome.result, DomainLogits):
                    vote.profile.add(votes_of(outcome.result.logits))
                else:
                    vote.failures.append(outcome.result)
                bar.advance()
                if total and vote.photographs - before == _FORETOLD:
                    output.note(_foretell((time.monotonic() - began) / _FORETOLD * (total - before), total))
                if vote.photographs % _SAVE_EVERY == 0:
                    save(vote)
        except BaseException:  # Ctrl-C too
            if vote.photographs > before:
                save(vote)
            raise
    name_failures(vote, output)


def _foretell(seconds: float, total: int) -> str:
    minutes = round(seconds / 60)
    length = f"{minutes:,} minutes" if minutes > 1 else "a minute"
    return f"{total:,} photographs will take about {length}; broken off, the same command goes on"


def name_failures(vote: Vote, output: Output) -> None:
    """Count and name what could not be read."""
    if failures := vote.failures:
        output.warn(
            f"{len(failures):,} of {vote.photographs:,} photographs could not be read; they are not counted"
        )
    for failure in failures[:_NAMED]:
        output.warn(f"{failure.path}: {failure.message} ({failure.code})")
    if len(failures) > _NAMED:
        output.warn(f"… and {len(failures) - _NAMED:,} more; --json names all")


def no_votes(vote: Vote, paths: list[str]) -> UsageError:
    """The error where not a single photograph could vote."""
    if vote.failures:
        return UsageError(
            f"no domains can be selected: none of {len(vote.failures):,} photographs could be read"
        )
    return UsageError(f"no domains can be selected: there are no photographs in {', '.join(paths)}")


@dataclass(frozen=True, slots=True)
class VoteFile:
    """Keeps a vote on disk, so that it can be gone on with after an interruption.

    Attributes:
        path: of the file.
        question: what the votes are about: paths, number of inputs in them, and classifier. A vote on another
            question is not taken up: what was seen would not be the first of what there is now.
    """

    path: Path
    question: dict[str, Any]

    @classmethod
    def beside(cls, bundle: Path, paths: list[str], total: int, classifier: DomainClassifier) -> VoteFile:
        """The file of a vote of some photographs for a bundle that is to be."""
        question = {"paths": paths, "inputs": total, "model": classifier.model_id}
        return cls(bundle.with_name(bundle.name + ".votes.json"), question)

    def save(self, vote: Vote) -> None:
        """Write the vote whole or not at all."""
        record = {
            "question": self.question,
            "profile": vote.profile.as_card(),
            "failures": [asdict(failure) for failure in vote.failures],
        }
        from dgqa_infer.atomic import write_whole

        write_whole(self.path, json.dumps(record).encode("utf-8", "surrogateescape"), overwrite=True)

    def load(self) -> Vote | None:
        """The vote that was broken off; None where there is none.

        Raises:
            UsageError: the file holds another vote, or no vote.
        """
        if not self.path.exists():
            return None
        try:
            record = json.loads(self.path.read_bytes().decode("utf-8", "surrogateescape"))
            failures = [Failure(**failure) for failure in record["failures"]]
            profile = DomainProfile.from_card(record["profile"]) or DomainProfile()
            question = record["question"]
        except (ValueError, KeyError, TypeError, ModelError) as error:
            raise UsageError(f"{self.path} holds no votes: {error}; remove it to start anew") from error
        if question != self.question:
            raise UsageError(
                f"{self.path} holds votes for {question}, not for {self.question}; remove it to start anew"
            )
        return Vote(profile, failures)

    def remove(self) -> None:
        """The vote is over."""
        self.path.unlink(missing_ok=True)
