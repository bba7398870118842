"""What a worker says is believed only if our worker could have said it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ERROR_CODES
from dgqa_infer.images.attributes import Attributes
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.pipeline.messages import (
    Admit,
    Answer,
    Ask,
    Decode,
    Decoded,
    Failed,
    Order,
    Read,
    Ready,
    WorkerSettings,
    decode_answer,
    decode_order,
    decode_settings,
    encode,
)

GOOD = {
    "kind": "Decoded",
    "size": 1,
    "mtime": 1.0,
    "width": 40,
    "height": 30,
    "warnings": ["upscaled"],
    "preview": [50, 5],
    "attributes": {"sharpness": 0.5, "brightness": 40.0, "clipped": 0.0, "noise": 1.5},
    "seconds": 0.25,
}
SETTINGS = WorkerSettings(
    Preprocessing("small", 64, 32, 5),
    DecodeLimits(),
    False,
    None,
    50,
    True,
    "cuda:1",
    1.5,
    10**9,
    10**6,
    10**8,
    False,
)

small = st.integers(1, 2**62)
numbers = st.floats(0, 255)
times = st.none() | st.floats(-1e12, 1e12)
sizes = st.none() | st.integers(0, 2**62)
answers = st.one_of(
    st.just(Ready()),
    st.builds(Read, st.integers(0, 2**62), times),
    st.builds(Ask, small),
    st.builds(
        Decoded,
        sizes,
        times,
        small,
        small,
        st.lists(st.text()).map(tuple),
        st.none() | st.tuples(small, small),
        st.none() | st.builds(Attributes, numbers, numbers, numbers, numbers),
        st.floats(0, 1e6),
    ),
    st.builds(Failed, st.sampled_from(ERROR_CODES), st.text(), sizes, times),
)
orders = st.one_of(
    st.just(Admit()),
    st.builds(Decode, st.none() | st.text(), st.integers(0, 2), st.booleans(), st.booleans()),
)


@given(answers)
def test_an_answer_arrives_as_it_was_sent(answer: Answer) -> None:
    assert decode_answer(encode(answer)) == answer


@given(orders)
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    assert decode_order(encode(order)) == order


def test_settings_arrive_as_they_were_sent_and_names_need_not_be_text() -> None:
    assert decode_settings(encode(SETTINGS)) == SETTINGS
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert decode_order(encode(Decode(name, 0, False))) == Decode(name, 0, False)


WRONG: list[Any] = [
    {},
    [],
    7,
    {"kind": "Decoded"},
    {"kind": "Admit"},
    {"kind": "Ready", "more": 1},
    {"kind": ["Ready"]},
    {"kind": "Ask", "pixels": 0},
    {"kind": "Ask", "pixels": "much"},
    {"kind": "Failed", "code": "rm -rf", "message": "x", "size": 1, "mtime": 1},
    {"kind": "Failed", "code": ["corrupt"], "message": "x", "size": 1, "mtime": 1},
    {"kind": "Failed", "code": "corrupt", "message": {"a": 1}, "size": 1, "mtime": 1},
    {"kind": "Failed", "code": "corrupt", "message": "x"},
    *(GOOD | {"width": value} for value in ("wide", 0, -1, 1.5, True, None, 2**63)),
    *(GOOD | {"warnings": value} for value in (7, [7], "upscaled", None)),
    *(GOOD | {"size": value} for value in ("1", -1, 1.0, True, 10**30)),
    *(GOOD | {"mtime": value} for value in ([], "1", True)),
    *(
        GOOD | {"preview": value}
        for value in ([0, 5], [5], [True, 5], "50", [5.0, 5], [-1, 5], [5, 5, 5], {"a": 1})
    ),
    *(
        GOOD | {"attributes": value}
        for value in ([], {}, {"sharpness": 1}, GOOD["attributes"] | {"noise": "loud"})  # type: ignore[operator]
    ),
]


@pytest.mark.parametrize("message", WRONG, ids=json.dumps)
def test_what_a_worker_may_say_is_little_and_checked(message: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_answer(json.dumps(message).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[" * 100_000, json.dumps(GOOD | {"mtime": float("nan")}).encode()],
    ids=["nothing", "no text", "deep", "nan"],
)
def test_what_is_no_json_is_no_answer(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_answer(data)


def test_what_was_decoded_fits_to_what_was_asked_for() -> None:
    found = decode_answer(json.dumps(GOOD).encode())
    assert isinstance(found, Decoded)
    found.refuse_beyond(SETTINGS)
    replace(found, attributes=None).refuse_beyond(SETTINGS, measure=False)
    with pytest.raises(ValueError, match="attributes"):
        found.refuse_beyond(SETTINGS, measure=False)
    for wrong in (
        replace(found, preview=(51, 5)),
        replace(found, preview=None),
        replace(found, attributes=None),
        replace(found, width=SETTINGS.limits.side + 1),
    ):
        with pytest.raises(ValueError, match="out of range"):
            wrong.refuse_beyond(SETTINGS)
    for asked in (replace(SETTINGS, preview=0), replace(SETTINGS, measure=False)):
        with pytest.raises(ValueError, match=r"(preview|attributes) is out of range"):
            found.refuse_beyond(asked)
