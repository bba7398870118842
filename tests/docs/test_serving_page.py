"""docs/serving.md names the paths, the statuses and the figures that the service has."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from dgqa_infer.service import refusals
from dgqa_infer.service.app import openapi
from dgqa_infer.service.metrics import Metrics


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_page_lists_every_path(page: str) -> None:
    paths = re.findall(r"^\| `(GET|POST) (/\S+)` \|", page, re.MULTILINE)
    described = json.loads(openapi())["paths"]
    assert {(method.lower(), path) for method, path in paths} == {
        (method, path) for path, found in described.items() for method in found
    }


def test_the_page_lists_every_status_with_its_codes(page: str) -> None:
    listed = {
        int(status): set(re.findall(r"`(\w+)`", codes))
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.MULTILINE)
    }
    expected: dict[int, set[str]] = defaultdict(set)
    for status, code in refusals._CODES.items():
        expected[status].add(code)
    for code, status in refusals.STATUS_OF.items():
        expected[status].add(code)
    assert listed == expected


def test_the_page_lists_every_figure(page: str) -> None:
    table = "\n".join(re.findall(r"^\| (`dgqa_[^|]*) \|", page, re.MULTILINE))
    families = re.findall(r"^# TYPE (dgqa_\w+) ", Metrics().page().decode(), re.MULTILINE)
    # Those of the queue and of uploads are watched once there are any: tests/infer/service/test_metrics.py.
    watched = {"dgqa_queue_photographs", "dgqa_queue_capacity_photographs", "dgqa_upload_bytes"}
    assert set(re.findall(r"dgqa_\w+", table)) == set(families) | watched
