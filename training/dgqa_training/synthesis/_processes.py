"""Work for many items, here or in other processes; results as they come."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Protocol, TypeVar

from dgqa_infer.errors import OutputError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Each process computes on one core; libraries with threads of their own would only get in each other's way.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AHEAD = 4  # items in flight a process: none waits for work, and a million items are not queued at once


class Run(Protocol):
    """Does something for every item."""

    def __call__(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Results in the order in which they come; an exception ends the rest."""
        ...


@contextmanager
def workers(jobs: int) -> Iterator[Run]:
    """Processes to work with while the block runs; one job works in this process.

    Functions and items must be picklable. The processes do not react to Ctrl-C themselves: what they have in
    hand is finished, the rest is dropped.

    Args:
        jobs: how many, at least 1.

    Raises:
        OutputError: a process was ended from outside, as the kernel does when memory runs out.
    """
    if jobs == 1:
        yield _here
        return
    with _environment(_ONE_THREAD):
        pool = ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
        )

        def run(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
            return _unordered(pool, function, items, ahead=_AHEAD * jobs)

        try:
            yield run
        except BrokenProcessPool as error:
            raise OutputError(
                "a process was ended from outside, perhaps for want of memory; what is written is whole, and"
                " the same command goes on from here (with fewer --workers)"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _here(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    return map(function, items)


def _unordered(
    pool: ProcessPoolExecutor, function: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Iterator[_Result]:
    left = iter(items)
    running: set[Future[_Result]] = {pool.submit(function, item) for item in islice(left, ahead)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(function, item) for item in islice(left, len(done))}
        for future in done:
            yield future.result()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that start in the block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
