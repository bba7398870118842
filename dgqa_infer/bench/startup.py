"""What a user waits for before the first photograph, and what a whole run holds in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from dgqa_infer.bench.figures import Figure, of_rounds
from dgqa_infer.bench.processes import PROGRAM, Ran, run
from dgqa_infer.errors import BackendError


def starts(scoring: Sequence[str], photograph: str, rounds: int) -> Iterator[Figure]:
    """Seconds until each of these has ended, begun anew each time, in turns.

    Args:
        scoring: arguments of `score` that choose the model and the way.
        photograph: to score.
        rounds: how often each is begun.
    """
    commands = {
        "python itself": [sys.executable, "-c", "pass"],
        "import dgqa_infer": [sys.executable, "-c", "import dgqa_infer"],
        "dgqa-infer --help": [*PROGRAM, "--help"],
        "score one photograph": [*PROGRAM, "score", *scoring, photograph],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(_sound(run(command)).seconds)
    for name, each in found.items():
        yield of_rounds("start-up", name, "time", "s", each)


def memory(scoring: Sequence[str], paths: Sequence[str]) -> Iterator[Figure]:
    """The most memory that a run over all the photographs holds, with all its processes; none if unknown."""
    ran = _sound(run([*PROGRAM, "score", *scoring, *paths], watch_memory=True))
    if ran.peak_mb is not None:
        yield Figure("memory", "score, all processes", "peak", "MB", ran.peak_mb)


def _sound(ran: Ran) -> Ran:
    """The run, if it ended well.

    Raises:
        BackendError: it did not; says what it said.
    """
    if ran.code != 0:
        last = (ran.said.strip().splitlines() or ["it said nothing"])[-1]
        raise BackendError(f"a run that was to be measured ended with exit code {ran.code}: {last}")
    return ran
