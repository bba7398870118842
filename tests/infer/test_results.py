"""The types of rows say what the JSON Schema says."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from dgqa_infer.results import Row

NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
OF_FILES = {"size", "mtime"}
"""What comes with the row of a file, and not with `Score.row()`."""


@pytest.fixture(scope="module")
def schema(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((repository / "docs" / "schemas" / "row.schema.json").read_bytes())
    return loaded


def resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def always(hints: dict[str, Any]) -> set[str]:
    """The fields that are not `NotRequired`."""
    return {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}


def check(kind: Any, part: dict[str, Any], schema: dict[str, Any]) -> None:
    part = resolved(part, schema)
    origin = get_origin(kind)
    if origin is NotRequired:
        check(get_args(kind)[0], part, schema)
    elif is_typeddict(kind):
        assert part["type"] == "object"
        assert set(part["properties"]) == set(kind.__annotations__)
        hints = get_type_hints(kind, include_extras=True)
        assert set(part["required"]) == always(hints)
        for name, hint in hints.items():
            check(hint, part["properties"][name], schema)
    elif origin is dict:
        assert part["type"] == "object"
        check(get_args(kind)[1], part["additionalProperties"], schema)
    elif origin is list:
        assert part["type"] == "array"
        check(get_args(kind)[0], part["items"], schema)
    elif "enum" in part:
        # Words of a fixed set are text, whether their type lists them or not.
        assert kind is str or list(get_args(kind)) == part["enum"]
    elif origin is UnionType:
        names = part["type"] if isinstance(part["type"], list) else [part["type"]]
        assert set(names) == {NAMES[each] for each in get_args(kind)}
    else:
        assert part["type"] == NAMES[kind]


def test_every_field_of_a_row_has_the_schemas_type(schema: dict[str, Any]) -> None:
    hints = get_type_hints(Row, include_extras=True)
    scored, failed = (schema["$defs"][name] for name in ("scored", "failed"))
    assert set(hints) == set(scored["properties"]) | set(failed["properties"])
    for kind in (scored, failed):
        for name, part in kind["properties"].items():
            # None stands for an input from memory, which no file of rows has.
            check(str if name == "path" else hints[name], part, schema)


def test_what_every_row_has_is_required(schema: dict[str, Any]) -> None:
    required = [set(schema["$defs"][name]["required"]) for name in ("scored", "failed")]
    assert set.intersection(*required) - OF_FILES == always(get_type_hints(Row, include_extras=True))
