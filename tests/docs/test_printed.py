"""What a page shows is compared with what was printed."""

from __future__ import annotations

import pytest
from printed import agrees


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("score 15.1\n", "  score   15.1  \n"),
        ("score 15.1", "score 15.2"),
        ("in … s, by cpu", "in 3.25 s, by cpu"),
        ('"score": 98.16…}', '"score": 98.1588}'),
        ("a\n…\nz", "a\nb\nc\nz"),
        ("━━━┳━━\n a ┃ b", "━━━━━━┳━━━\n a    ┃ b"),
    ],
)
def test_time_width_and_the_last_digit_do_not_count(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("score 15.1", "score 15.3"),
        ("3 of 11", "4 of 11"),
        ("a\nz", "a\nb\nz"),
        ("photos/a.jpg", "photos/b.jpg"),
        ("", "something"),
    ],
)
def test_all_else_does(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)
