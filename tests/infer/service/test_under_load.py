"""Many clients, slow ones, ones that leave; workers that die; an end while requests are in hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running_service import Running, Serve, grey

HEAD = "POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n"
QUEUED = "dgqa_queue_photographs"


def hanging() -> bytes:
    """No decoder of the fixture `bad_decoders` ever comes to an end with it."""
    return grey(0, "JPEG", comment="HANG")


@contextlib.contextmanager
def sending(service: Running, data: bytes, length: int | None = None) -> Iterator[socket.socket]:
    """A connection on which a request has begun: its header, and this much of its body."""
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(HEAD.format(len(data) if length is None else length).encode() + data)
        yield client


def answered(client: socket.socket) -> bytes:
    """What comes until the server closes or has sent a whole answer."""
    got = b""
    while chunk := client.recv(65536):
        got += chunk
        head, _, body = got.partition(b"\r\n\r\n")
        if f"content-length: {len(body)}".encode() in head:
            break
    return got


def refuses_connections(service: Running) -> bool:
    """Whether it stops to listen within two seconds."""
    for _ in range(100):
        time.sleep(0.02)
        try:
            socket.create_connection(("127.0.0.1", service.port), 60).close()
        except ConnectionError:
            return True
    return False


def test_a_hundred_clients_each_have_their_own_score_and_share_batches(serve: Serve) -> None:
    service = serve("--workers", 2, "--queue", 200)
    photographs = {level: grey(level) for level in range(0, 250, 5)}

    def client(number: int) -> None:
        with contextlib.closing(service.connect()) as connection:
            for level in list(photographs)[number % 10 :: 10]:
                connection.request("POST", "/v1/score", photographs[level])
                row = json.loads(connection.getresponse().read())
                assert row["score"] == pytest.approx(level / 2.55, abs=0.01)

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(client, range(100)))
    assert service.figure('dgqa_photographs_total{outcome="scored"}') == 500
    assert service.figure("dgqa_batch_photographs_count") < 500
    assert service.figure(QUEUED) == service.figure("dgqa_upload_bytes") == 0


def test_whom_there_is_no_room_for_is_told_when_to_come_again(
    serve: Serve, bad_decoders: dict[str, str]
) -> None:
    service = serve("--workers", 1, "--queue", 1, "--limit-time", "2s", environment=bad_decoders)
    with sending(service, hanging()) as client:
        service.wait_for(QUEUED, 1)
        refused = service.score(grey(0))
        assert (refused.status, refused.code) == (429, "busy")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # It is busy, not ill.
        assert service.call("GET", "/healthz").status == service.call("GET", "/readyz").status == 200
        assert b'"timed_out"' in answered(client)
    assert service.score(grey(0)).status == 200


def test_a_hundred_clients_of_a_full_service_are_answered_and_none_is_lost(serve: Serve) -> None:
    service = serve("--workers", 1, "--queue", 4)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda level: service.score(grey(level)), range(100)))
    for level, answer in enumerate(answers):
        assert answer.status in (200, 429)
        if answer.status == 200:
            assert answer.json["score"] == pytest.approx(level / 2.55, abs=0.01)
    scored = sum(answer.status == 200 for answer in answers)
    assert scored == service.figure('dgqa_photographs_total{outcome="scored"}') > 0
    assert service.figure(QUEUED) == 0


def test_a_photograph_that_never_ends_delays_no_other_worker(
    serve: Serve, bad_decoders: dict[str, str]
) -> None:
    service = serve("--workers", 2, "--limit-time", "20s", environment=bad_decoders)
    with sending(service, hanging()):
        service.wait_for(QUEUED, 1)
        assert service.score(grey(255)).json["score"] == 100
        assert service.figure(QUEUED) == 1


def test_bodies_that_do_not_come_are_given_up_and_hold_nobody_up(serve: Serve) -> None:
    service = serve("--workers", 1, "--limit-upload-time", "1s", "--queue", 2)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(sending(service, b"half", 100)) for _ in range(20)]
        assert service.score(grey(255)).json["score"] == 100
        for client in slow:
            answer = answered(client)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"upload_timed_out"' in answer
            assert client.recv(1) == b""
    service.wait_for("dgqa_upload_bytes", 0)


def test_headers_that_do_not_come_are_given_up(serve: Serve) -> None:
    before = "import dgqa_infer.service.server as server; server._HEADER_SECONDS = 0.5"
    service = serve("--workers", 1, before=before)
    with contextlib.ExitStack() as stack:
        silent, begun, again = (
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 60)) for _ in range(3)
        )
        begun.sendall(b"POST /v1/sco")
        body = grey(255)
        again.sendall(HEAD.format(len(body)).encode() + body)
        assert b"100.0" in answered(again)
        again.sendall(b"POST /v1/sco")
        for client in (silent, begun, again):
            assert client.recv(1) == b""
    assert service.score(grey(255)).status == 200


def test_all_bodies_together_are_bounded(serve: Serve) -> None:
    service = serve("--workers", 1, "--limit-uploads", "100kB", "--limit-file-size", "100kB")
    with sending(service, bytes(60_000), 90_000):
        service.wait_for("dgqa_upload_bytes", 60_000)
        refused = service.score(bytes(60_000))
        assert (refused.status, refused.code) == (429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert service.score(grey(255)).status == 200
    service.wait_for("dgqa_upload_bytes", 0)
    assert service.score(bytes(60_000)).status == 415


@pytest.mark.parametrize("way", ["half-closed", "closed", "reset"])
def test_what_a_client_that_left_had_sent_waits_no_longer(
    serve: Serve, bad_decoders: dict[str, str], way: str
) -> None:
    """Its photograph is dropped before its turn; the one that is being decoded is not its."""
    service = serve("--workers", 1, "--batch-size", 1, "--limit-time", "3s", environment=bad_decoders)
    with contextlib.ExitStack() as stack:
        stuck = [stack.enter_context(sending(service, hanging())) for _ in range(2)]
        service.wait_for(QUEUED, 2)
        with sending(service, grey(0)), sending(service, grey(0)), sending(service, grey(0)) as last:
            service.wait_for(QUEUED, 5)
            if way == "half-closed":
                last.shutdown(socket.SHUT_WR)
                assert last.recv(1) == b""
            elif way == "reset":
                last.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            last.close()
            service.wait_for('dgqa_requests_total{path="/v1/score",status="499"}', 1)
        for client in stuck:
            assert b'"timed_out"' in answered(client)
    service.wait_for(QUEUED, 0)
    assert service.score(grey(255)).status == 200


def test_a_body_whose_sender_half_closes_too_early_leaves_nothing_behind(service: Running) -> None:
    for end in (socket.SHUT_WR, socket.SHUT_RDWR):
        with sending(service, b"half", 100) as client:
            client.shutdown(end)
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
    service.wait_for("dgqa_upload_bytes", 0)
    assert service.score(grey(255)).status == 200


def test_connections_that_say_nothing_leave_room_for_decoding(serve: Serve) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))"
    service = serve("--workers", 1, before=few)
    data = grey(255)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(sending(service, data[:50], len(data)))
        service.wait_for("dgqa_upload_bytes", 50)
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 60))
        first.sendall(data[50:])
        assert b"100.0" in answered(first)
    assert service.score(grey(255)).status == 200


def test_what_is_not_http_is_refused(service: Running) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/1.1", b"A" * 200_000):
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", service.port), 60) as client,
        ):
            client.sendall(nonsense + b"\r\n\r\n")
            assert answered(client).startswith(b"HTTP/1.1 400 ")
    assert service.score(grey(255)).status == 200


def test_a_worker_that_is_killed_is_replaced_and_nobody_notices(serve: Serve) -> None:
    """One at a time: a photograph that is in the hands of two that are killed is taken for the cause."""
    service = serve("--workers", 2)
    # Both have work, so that there are both.
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda level: service.score(grey(level)), range(60)))
    before = service.workers()
    assert before
    for pid in before:
        with ThreadPoolExecutor(20) as pool:
            answers = pool.map(lambda level: service.score(grey(level)), range(100))
            os.kill(pid, signal.SIGKILL)
            scores = [answer.json["score"] for answer in answers]
        assert scores == pytest.approx([level / 2.55 for level in range(100)], abs=0.01)
    assert not set(before) & set(service.workers())


def test_a_photograph_that_kills_its_decoder_costs_its_own_row(
    serve: Serve, bad_decoders: dict[str, str]
) -> None:
    service = serve("--workers", 2, environment=bad_decoders)
    files = [(f"{level}.png", grey(level)) for level in range(10)]
    files.insert(5, ("bad.jpg", grey(0, "JPEG", comment="SEGV")))
    rows = service.send_files(files).json["rows"]
    assert rows.pop(5)["error"]["code"] == "crashed"
    assert [row["score"] for row in rows] == pytest.approx([level / 2.55 for level in range(10)], abs=0.01)
    alone = service.score(grey(0, "JPEG", comment="KILL"))
    assert (alone.status, alone.code) == (422, "crashed")


def test_sigterm_ends_it_after_what_is_in_hand(serve: Serve, bad_decoders: dict[str, str]) -> None:
    service = serve("--workers", 1, "--limit-time", "3s", environment=bad_decoders)
    with sending(service, hanging()) as client:
        service.wait_for(QUEUED, 1)
        workers = service.workers()
        service.process.send_signal(signal.SIGTERM)
        assert refuses_connections(service)
        answer = answered(client)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"timed_out"' in answer
    assert service.ended() == (0, "")
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_ctrl_c_ends_it_as_it_ends_every_command(serve: Serve) -> None:
    service = serve("--workers", 1)
    assert service.score(grey(0)).status == 200
    service.process.send_signal(signal.SIGINT)
    assert service.ended() == (130, "")


def test_a_runtime_that_fails_ends_the_service_and_nobody_waits_for_ever(serve: Serve) -> None:
    before = """
import dgqa_infer.scorer as scorer
from dgqa_infer.errors import BackendError
predict = scorer.Scorer.predict
def failing(self, crops, photos):
    if any(photo.path == "bad.png" for photo in photos):
        raise BackendError("the device has gone")
    return predict(self, crops, photos)
scorer.Scorer.predict = failing
"""
    service = serve("--workers", 1, before=before)
    assert service.score(grey(255)).status == 200
    answer = service.send_files([("bad.png", grey(0))])
    assert (answer.status, answer.code) == (503, "unavailable")
    code, said = service.ended()
    assert code == 2
    assert "error: the device has gone" in said
