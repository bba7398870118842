from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dgqa_infer.patience import DaemonThread, Patience, calls_left


def test_a_call_s_result_and_its_error_come_back() -> None:
    with Patience(60) as patience:
        assert patience.call(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            patience.call(lambda: 1 / 0)


def test_a_call_without_end_is_left_and_the_next_is_made() -> None:
    go_on = threading.Event()
    with Patience(0.1) as patience:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
            patience.call(go_on.wait)
        assert calls_left()
        assert patience.call(lambda: "next") == "next"
    go_on.set()
    while calls_left():
        threading.Event().wait(0.01)


def test_a_call_s_own_time_out_is_no_call_without_end() -> None:
    def call() -> None:
        raise TimeoutError("by the network")

    with Patience(60) as patience, pytest.raises(TimeoutError, match="by the network"):
        patience.call(call)


def test_what_an_iterator_gave_before_it_hung_or_failed_has_come() -> None:
    go_on = threading.Event()

    def hangs() -> Iterator[int]:
        yield from range(600)
        go_on.wait()

    def fails() -> Iterator[int]:
        yield from range(3)
        raise OSError("gone")

    for source, count, error in ((hangs(), 600, TimeoutError), (fails(), 3, OSError)):
        found = []
        with Patience(0.5) as patience, pytest.raises(error):  # noqa: PT012
            for number in patience.each(source):
                found.append(number)
        assert found == list(range(count))
    go_on.set()


def test_a_daemon_makes_its_calls_in_order_and_ends() -> None:
    thread, made = DaemonThread("test"), []
    futures = [thread.submit(lambda number=number: made.append(number)) for number in range(5)]  # type: ignore[misc]
    thread.close(60)
    assert made == list(range(5))
    assert all(future.done() for future in futures)
