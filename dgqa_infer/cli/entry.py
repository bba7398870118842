"""The first lines of the program: what scoring waits for longest, a decoding process, is begun first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from dgqa_infer import system
from dgqa_infer.errors import BackendError
from dgqa_infer.inputs.addresses import may_be_addresses
from dgqa_infer.pipeline.process import WorkerProcess

_OTHERWISE = frozenset({"-h", "--help"})


def main() -> None:
    """Run the program."""
    system.fill_standard_streams()
    with ExitStack() as stack:
        begun = None
        if _scores_here(sys.argv[1:]):
            # Where it cannot be begun, there will be an error later, reported as other errors are.
            with suppress(OSError, BackendError):
                begun = stack.enter_context(WorkerProcess(addresses=may_be_addresses(sys.argv)))
        from dgqa_infer.cli import app

        app.main(begun)


def _scores_here(arguments: Sequence[str]) -> bool:
    """Whether this looks like files to be scored on this machine; nothing but speed depends on it."""
    return arguments[:1] == ["score"] and not _OTHERWISE.intersection(arguments)
