"""`openapi.json` is a sound document of its kind, and describes the routes and the rows that there are."""

from __future__ import annotations

import copy
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from dgqa_infer.errors import ERROR_CODES
from dgqa_infer.service import refusals
from dgqa_infer.service.app import EXPLAIN, Service, openapi

OF_FILES = {"not_found", "unreadable"}
"""Codes that no photograph in memory can have."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(json.loads(openapi()))


def test_it_is_a_sound_document(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_the_validator_sees_a_fault(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    del broken["paths"]["/v1/score"]["post"]["responses"]["200"]["description"]
    with pytest.raises(OpenAPIValidationError):
        OpenAPIV31SpecValidator(broken).validate()


def test_it_describes_the_routes_that_there_are_and_no_others(document: dict[str, Any]) -> None:
    # Where nothing is asked, nothing that answers is needed.
    nothing: Any = None
    routes = Service(nothing, nothing, nothing, {}, True).routes()
    # Starlette answers HEAD wherever it answers GET.
    there = {(route.path, method) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    described = {(path, method.upper()) for path, found in document["paths"].items() for method in found}
    assert described == there


def test_what_explain_may_say_is_what_is_taken(document: dict[str, Any]) -> None:
    (parameter,) = document["paths"]["/v1/score"]["post"]["parameters"]
    assert (parameter["name"], parameter["schema"]["enum"]) == ("explain", list(EXPLAIN))


def test_every_code_of_a_photograph_has_a_status_that_is_described(document: dict[str, Any]) -> None:
    assert set(refusals.STATUS_OF) == set(ERROR_CODES) - OF_FILES
    responses = document["paths"]["/v1/score"]["post"]["responses"]
    assert {str(status) for status in refusals.STATUS_OF.values()} <= set(responses)


def test_every_code_of_a_refusal_is_described(document: dict[str, Any]) -> None:
    codes = document["components"]["schemas"]["refusal"]["properties"]["error"]["properties"]["code"]["enum"]
    assert codes == list(refusals._CODES.values())
    statuses = set().union(
        *(operation["responses"] for found in document["paths"].values() for operation in found.values())
    )
    # Of a path or a method that there is not no operation tells.
    assert {str(status) for status in refusals._CODES} - statuses == {
        str(HTTPStatus.NOT_FOUND.value),
        str(HTTPStatus.METHOD_NOT_ALLOWED.value),
    }


@pytest.mark.parametrize("kind", ["scored", "failed"])
def test_rows_are_described_as_the_row_schema_does(
    document: dict[str, Any], repository: Path, kind: str
) -> None:
    schema = json.loads((repository / "docs" / "schemas" / "row.schema.json").read_bytes())
    rows, here = schema["$defs"][kind], document["components"]["schemas"][kind]
    # A body has no name but what its sender gives it, no time, no gate, and no run whose setup could differ.
    own = {"path", "size", "mtime", "model", "error", "gate"}
    assert {name: found for name, found in here["properties"].items() if name not in own} == {
        name: found for name, found in rows["properties"].items() if name not in own
    }
    assert set(here["properties"]) == set(rows["properties"]) - {"gate"}
    assert here["additionalProperties"] is rows["additionalProperties"] is False
    if kind == "failed":
        codes = here["properties"]["error"]["properties"]["code"]["enum"]
        assert codes == rows["properties"]["error"]["properties"]["code"]["enum"] == list(ERROR_CODES)
