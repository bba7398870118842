"""What `/metrics` says is read by Prometheus' own parser, and named as Prometheus' conventions ask."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from running_service import Running, grey

UNITS = ("seconds", "bytes", "photographs", "fds")
"""Base units: https://prometheus.io/docs/practices/naming/#base-units, and what we count."""

UNWANTED = {"gauge", "counter", "histogram", "summary", "ms", "milliseconds", "minutes", "kb", "mb"}


@pytest.fixture(scope="module")
def families(service: Running) -> list[Metric]:
    service.score(grey(0))
    service.score(b"")
    page = service.call("GET", "/metrics").body.decode()
    return list(text_string_to_metric_families(page))


def ours(families: list[Metric]) -> Iterator[Metric]:
    return (family for family in families if family.name.startswith("dgqa_"))


def test_there_is_all_that_an_operator_asks_for(families: list[Metric]) -> None:
    names = {family.name for family in families}
    assert {"dgqa_requests", "dgqa_request_duration_seconds", "dgqa_photographs"} <= names
    assert {"dgqa_decode_duration_seconds", "dgqa_model_duration_seconds", "dgqa_queue_photographs"} <= names
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= names


def test_names_follow_the_conventions(families: list[Metric]) -> None:
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation, f"{family.name} has no help"
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name), family.name
        assert not set(family.name.split("_")) & UNWANTED
        samples = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert samples <= {f"{family.name}_total", f"{family.name}_created"}
        elif family.type == "histogram":
            assert {f"{family.name}_{each}" for each in ("bucket", "sum", "count")} <= samples
        else:
            assert family.type == "gauge"
            assert not family.name.endswith("_total")
    for family in ours(families):
        assert family.type == "counter" or family.name.endswith(UNITS), f"{family.name} has no unit"


def test_no_label_is_of_a_strangers_choosing(service: Running) -> None:
    service.call("POST", "/v1/score/../../etc/passwd", b"")
    service.send_files([("a stranger's name.png", grey(0))])
    page = service.call("GET", "/metrics").body.decode()
    labels = {
        (name, value)
        for family in ours(list(text_string_to_metric_families(page)))
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert {name for name, _ in labels} == {"path", "status", "outcome"}
    assert "passwd" not in page
    assert "stranger" not in page
