"""What the service answers to one client, over a real socket; each answer is held to the description."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from running_service import Answer, Running, Serve, form, grey, require_described
from tiny_models import Models, noise

from dgqa_infer import Scorer
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.pipeline import Pipeline


def photograph(seed: int = 0, format: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise(80, 96, seed)).save(out, format)
    return out.getvalue()


def test_a_photograph_as_the_body_is_answered_with_the_row_that_the_library_has(
    service: Running, tiny_bundle: Path
) -> None:
    data = photograph()
    with Scorer(tiny_bundle, device="cpu") as scorer:
        expected = scorer.score(data).row()
    answer = service.score(data)
    assert answer.status == 200
    assert answer.json == {**expected, "size": len(data), "mtime": None}


@pytest.mark.parametrize(
    "kind", ["image/png", "text/plain", "application/json", "application/x-www-form-urlencoded"]
)
def test_what_the_body_is_its_first_bytes_say_and_not_its_type(service: Running, kind: str) -> None:
    answer = service.call("POST", "/v1/score", grey(51, "WEBP"), {"Content-Type": kind})
    assert answer.json["score"] == pytest.approx(20, abs=0.01)


def test_a_body_in_chunks_is_one_photograph(service: Running) -> None:
    data = photograph()
    with contextlib.closing(service.connect()) as connection:
        parts = (data[start : start + 100] for start in range(0, len(data), 100))
        connection.request(
            "POST", "/v1/score", parts, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert json.loads(connection.getresponse().read()) == service.score(data).json


def test_a_form_is_answered_with_a_row_for_each_file_in_its_order(service: Running) -> None:
    answer = service.send_files([("a.png", grey(255)), ("läger/b.jpg", b"no picture"), ("", grey(0))])
    assert answer.status == 200
    first, second, third = answer.json["rows"]
    assert (first["path"], first["score"]) == ("a.png", 100)
    assert (second["path"], second["error"]["code"]) == ("läger/b.jpg", "unsupported")
    assert (third["path"], third["score"]) == (None, 0)


@pytest.mark.parametrize(
    ("name", "charset", "spelled"),
    [
        ("\u202egnp.\u009bexe.png", "utf-8", rb"\u202egnp.\u009bexe.png"),
        # A half of a character, which is none of Unicode's and cannot be written in UTF-8.
        ("+2AA-.png", "utf-7", rb"\ud800.png"),
    ],
)
def test_no_name_drives_a_terminal_or_breaks_the_answer(
    service: Running, name: str, charset: str, spelled: bytes
) -> None:
    body, kind = form([(name, grey(255))])
    answer = service.call("POST", "/v1/score", body, {"Content-Type": f"{kind}; charset={charset}"})
    assert answer.status == 200
    assert spelled in answer.body
    assert answer.json["rows"][0]["score"] == 100


def test_a_form_with_one_file_is_answered_as_a_form(service: Running) -> None:
    (row,) = service.send_files([("a.png", grey(255))]).json["rows"]
    assert row["score"] == 100


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "empty"),
        (b"https://example.org/photo.jpg", 415, "unsupported"),
        (b'{"url": "https://example.org/photo.jpg"}', 415, "unsupported"),
        (grey(0)[:60], 422, "truncated"),
        (grey(0)[:20] + b"!" + grey(0)[21:], 422, "corrupt"),  # the header's CRC is wrong
    ],
)
def test_a_photograph_without_a_score_has_the_status_of_its_code(
    service: Running, body: bytes, status: int, code: str
) -> None:
    answer = service.score(body)
    assert (answer.status, answer.code) == (status, code)


def test_the_limits_are_those_of_the_command_line(serve: Serve) -> None:
    service = serve("--workers", 1, "--limit-pixels", "4kp", "--limit-file-size", "20kB")
    assert service.score(grey(0, side=60)).status == 200
    pixels = service.score(grey(0, side=64))
    assert (pixels.status, pixels.code) == (413, "too_large")
    for body in (bytes(20_001), (bytes(1000) for _ in range(21))):
        with contextlib.closing(service.connect()) as connection:
            connection.request("POST", "/v1/score", body)
            response = connection.getresponse()
            assert (response.status, json.loads(response.read())["error"]["code"]) == (413, "too_large")


def test_a_large_body_is_refused_before_it_is_sent_where_the_client_asks(serve: Serve) -> None:
    service = serve("--workers", 1, "--limit-file-size", "1MB")
    head = b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(head)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


HEAD = b"POST /v1/score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: two\r\n\r\n",
        HEAD + b"no number\r\n",
    ],
    ids=["TLS", "no HTTP", "no host", "no length", "broken chunk"],
)
def test_what_is_not_http_is_refused_as_any_other_request(service: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(client, method="POST")
        response.begin()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        assert client.recv(1) == b""
    assert answer.status == 400
    require_described("POST", "/v1/score", answer)
    assert answer.code == "bad_request"
    assert answer.json["error"]["message"].startswith("this is no HTTP/1.1 request: ")
    assert service.call("GET", "/healthz").body == b"ok\n"


def test_an_answer_that_is_there_is_not_followed_by_a_second_one(serve: Serve) -> None:
    service = serve("--workers", 1)
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(HEAD.replace(b"POST /v1/score", b"GET /healthz"))
        said = b""
        while not said.endswith(b"ok\n"):
            said += client.recv(65536)
        client.sendall(b"no number\r\n")
        assert client.recv(1) == b""
    service.process.terminate()
    code, lines = service.ended()
    assert code == 0
    assert "Traceback" not in lines


def test_explanations_come_where_they_are_asked_for(service: Running, tiny_bundle: Path) -> None:
    """Red counts most in the tiny bundle's second class."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (10, 90, 20)).save(out, "PNG")
    plain, named, every = (
        service.score(out.getvalue(), query).json for query in ("", "?explain=1", "?explain=all")
    )
    assert {"distortions", "attributes", "probabilities"} & set(plain) == set()
    assert [found["name"] for found in named["distortions"]] == ["dust spots"]
    assert "probabilities" not in named
    assert sum(every["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert plain["score"] == named["score"] == every["score"]
    assert service.score(out.getvalue(), "?explain=0").json == plain
    with Scorer(tiny_bundle, device="cpu", explain="all") as scorer:
        expected = scorer.score(out.getvalue()).row()
    assert every == {**expected, "size": len(out.getvalue()), "mtime": None}


def test_a_model_that_cannot_explain_says_so(serve: Serve, models: Models, tmp_path: Path) -> None:
    from dgqa_infer.bundle.bundle import write_bundle

    graph = {"model.onnx": models.quality_graph().SerializeToString()}
    bundle = write_bundle(tmp_path / "plain", graph, models.card(domains=None))
    service = serve("--workers", 1, model=bundle.path)
    answer = service.score(grey(0), "?explain=1")
    assert (answer.status, answer.code) == (400, "bad_request")
    assert service.score(grey(0)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/score", 405, "method_not_allowed"),
        ("POST", "/v1/scores", 404, "not_found"),
        ("POST", "/v1/score/", 404, "not_found"),
        ("POST", "/v1/score?explain=0&explain=all", 400, "bad_request"),
        ("POST", "/v1/score?explain=yes", 400, "bad_request"),
        ("POST", "/v1/score?url=https://example.org/a.jpg", 400, "bad_request"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_why(
    service: Running, method: str, path: str, status: int, code: str
) -> None:
    answer = service.call(method, path, b"")
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form([])[0], form([])[1]),
        (b"--limit\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--limit--\r\n", form([])[1]),
        (form([("a.png", b"x")])[0], "multipart/form-data"),
        (form([("a.png", b"x")])[0][:50], form([])[1]),
        (b"nothing of the kind", form([])[1]),
        (form([("a" * 2000, b"x")])[0], form([])[1]),
        (form([("ä.png", b"x")])[0], form([])[1] + "; charset=undefined"),
        (b"--limit\r\n" + b"X: y\r\n" * 100_000, form([])[1]),
        (b"--limit\r\nX: " + b"y" * 1_000_000, form([])[1]),
    ],
    ids=[
        *("no file", "a field", "no boundary", "cut off", "no form", "long name"),
        *("a charset of nothing", "many headers", "a long header"),
    ],
)
def test_a_broken_form_is_refused(service: Running, body: bytes, kind: str) -> None:
    answer = service.call("POST", "/v1/score", body, {"Content-Type": kind})
    assert (answer.status, answer.code) == (400, "bad_request")


def test_a_form_with_more_files_than_may_wait_is_refused(serve: Serve) -> None:
    service = serve("--workers", 1, "--queue", 3)
    files = [(f"{level}.png", grey(level)) for level in range(4)]
    answer = service.send_files(files)
    assert (answer.status, answer.code) == (413, "too_large")
    assert len(service.send_files(files[:3]).json["rows"]) == 3


def test_nothing_is_fetched_whatever_a_file_is_called(service: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/a.png?token=secret"
        empty, good = service.send_files([(address, b""), (address, grey(0))]).json["rows"]
        with pytest.raises(TimeoutError):
            trap.accept()
    assert empty["error"]["code"] == "empty"
    assert good["score"] == 0
    assert "secret" not in good["path"]


def test_the_model_and_its_card_are_told(service: Running, tiny_bundle: Path, tiny_model_id: str) -> None:
    about = service.call("GET", "/v1/model").json
    assert (about["model"], about["device"]) == (tiny_model_id, "cpu")
    assert about["card"] == json.loads((tiny_bundle / "card.json").read_bytes())


def test_it_is_healthy_and_ready(service: Running) -> None:
    assert service.call("GET", "/healthz").status == 200
    assert service.call("GET", "/readyz").status == 200


def test_the_description_is_the_one_in_the_package(service: Running, repository: Path) -> None:
    expected = (repository / "dgqa_infer" / "service" / "openapi.json").read_bytes()
    assert service.call("GET", "/openapi.json").body == expected


def test_what_is_done_is_counted(serve: Serve) -> None:
    service = serve("--workers", 1)
    service.score(grey(0), "?explain=1")
    service.score(b"")
    service.call("POST", "/somewhere/else", b"")
    assert service.figure('dgqa_requests_total{path="/v1/score",status="200"}') == 1
    assert service.figure('dgqa_requests_total{path="/v1/score",status="422"}') == 1
    assert service.figure('dgqa_requests_total{path="other",status="404"}') == 1
    assert service.figure('dgqa_photographs_total{outcome="scored"}') == 1
    assert service.figure('dgqa_photographs_total{outcome="empty"}') == 1
    assert service.figure("dgqa_request_duration_seconds_count") == 2
    # Two were scored before it was ready.
    assert service.figure("dgqa_decode_duration_seconds_count") == 3
    assert service.figure("dgqa_batch_photographs_sum") == 3
    assert service.figure("dgqa_model_duration_seconds_sum") > 0
    assert service.figure("dgqa_queue_photographs") == 0
    assert service.figure("dgqa_upload_bytes") == 0


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Basic secret", "secret", "Bearer secret2", "Bearer séc", "Bearer"]
)
def test_without_the_token_nothing_is_told_but_health(serve: Serve, given: str | None) -> None:
    service = serve("--workers", 1, environment={"DGQA_TOKEN": "secret"})
    headers = {} if given is None else {"Authorization": given}
    for method, path in (("POST", "/v1/score"), ("GET", "/v1/model"), ("GET", "/metrics")):
        answer = service.call(method, path, grey(0) if method == "POST" else None, headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert service.call("GET", path).status == 200
    # Of the scheme's name RFC 9110 says that its case does not matter.
    for scheme in ("Bearer", "bearer"):
        answer = service.call("POST", "/v1/score", grey(0), {"Authorization": f"{scheme} secret"})
        assert answer.status == 200


def hostile() -> list[bytes]:
    """Photographs cut off, with bytes changed, with lies in their headers, and what only looks like one."""
    found = []
    for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        sound = photograph(3, format)
        found += [sound[: len(sound) * part // 8] for part in range(1, 8)]
        for place in range(8, min(len(sound), 400), 13):
            found.append(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
    return [
        *found,
        b"GIF89a",
        b"RIFF\xff\xff\xff\xffWEBP",
        b"\xff\xd8\xff\xe1\xff\xff",
        b"<svg/>",
        bytes(1000),
    ]


def test_a_hostile_corpus_has_the_rows_that_the_pipeline_gives_and_does_no_harm(
    service: Running, tiny_bundle: Path
) -> None:
    corpus = hostile()
    with Scorer(tiny_bundle, device="cpu") as scorer, Pipeline(scorer, workers=2) as pipeline:
        expected = [outcome.row() for outcome in pipeline.run(Encoded(data) for data in corpus)]
    got: list[Any] = []
    for start in range(0, len(corpus), 40):
        part = corpus[start : start + 40]
        got += service.send_files([("", data) for data in part]).json["rows"]
    assert got == expected
    assert {"error" in row for row in got} == {True, False}
    assert service.score(grey(255)).json["score"] == 100


def test_the_files_of_known_faults_do_no_harm(service: Running, shared_data: Path) -> None:
    folder = shared_data.parent / "faults" / "inputs"
    files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    if not files:
        pytest.skip("the files of known faults are not beside this checkout")
    for data in files:
        assert service.score(data).status in (200, 413, 415, 422)
    assert service.score(grey(255)).json["score"] == 100
