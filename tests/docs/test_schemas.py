"""The JSON Schemas in docs/schemas hold real output of the program, and refuse what it would never write."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.card import Card
from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.errors import ERROR_CODES, ModelError
from dgqa_infer.outputs.columns import COLUMNS, INTEGERS, NUMBERS

Schemas = dict[str, jsonschema.Draft202012Validator]
GATE = """
[[rule]]
match = "**/*-*"
name = "faults"
minimum_score = 99.9
forbidden = { "grain" = 0.2 }

[[rule]]
match = "**/*.webp"
minimum_score = 0
"""


@pytest.fixture(scope="module")
def schemas(repository: Path) -> Schemas:
    loaded = {
        path.name.partition(".")[0]: json.loads(path.read_bytes())
        for path in (repository / "docs" / "schemas").iterdir()
    }
    registry = Registry().with_resources(
        [(schema["$id"], Resource.from_contents(schema)) for schema in loaded.values()]
    )
    for schema in loaded.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    make = jsonschema.Draft202012Validator
    return {name: make(schema, registry=registry) for name, schema in loaded.items()}


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "rows.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[..., str]:
    """Run the program on `photos/`: three that are sound, one that is small, and four that have no score."""
    here = tmp_path_factory.mktemp("schemas")
    photos = here / "photos"
    photos.mkdir()
    for name in ("astronaut-white-noise", "coffee", "rocket"):
        data = (repository / "examples" / "photos" / f"{name}.webp").read_bytes()
        (photos / f"{name}.webp").write_bytes(data)
    (photos / "rocket-torn.webp").write_bytes(data[:60_000])
    (photos / "renamed.jpg").write_bytes(data)
    (photos / "empty.png").touch()
    (photos / "text.jpg").write_text("no picture")
    (here / "gate.toml").write_text(GATE)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", "from dgqa_infer.cli.app import main; main()", *arguments]
        ran = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120)
        assert ran.returncode in (0, 1, 3), ran.stderr
        return ran.stdout

    return run


@pytest.fixture(scope="module")
def rows(program: Callable[..., str]) -> list[dict[str, Any]]:
    """With all that can be asked for: --explain=all and --gate, with scores and failures."""
    out = program("score", "photos", "missing.jpg", "--explain=all", "--gate", "gate.toml", "--device", "cpu")
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def selection(program: Callable[..., str]) -> dict[str, Any]:
    return json.loads(program("select", "photos", "--json", "--device", "cpu", "--crops", "random"))  # type: ignore[no-any-return]


def test_rows_of_a_real_run_fit(schemas: Schemas, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        schemas["row"].validate(row)
    scored = [row for row in rows if "score" in row]
    assert sorted(row["path"] for row in scored) == [
        "photos/astronaut-white-noise.webp",
        "photos/coffee.webp",
        "photos/renamed.jpg",
        "photos/rocket.webp",
    ]
    assert {row["error"]["code"] for row in rows if "error" in row} == {
        "truncated",
        "empty",
        "unsupported",
        "not_found",
    }
    # Every key that the schema knows has been seen, but what only odd files have.
    known = schemas["row"].schema["$defs"]["scored"]["properties"]
    assert {key for row in scored for key in row} == set(known)
    assert [row["warnings"] for row in scored if row["warnings"]] == [["extension_mismatch"]]
    assert {row["gate"]["passed"] for row in rows if "gate" in row} == {True, False}


def test_rows_without_extras_and_of_a_faster_way_fit(
    schemas: Schemas, program: Callable[..., str], tiny_bundle: Path
) -> None:
    old = ["--model", str(tiny_bundle), "--fast-decode", "--device", "cpu"]
    (line,) = program("score", "photos/coffee.webp", *old).splitlines()
    row = json.loads(line)
    schemas["row"].validate(row)
    assert row["model"].endswith("+scaled")
    assert not {"distortions", "attributes", "votes", "probabilities", "gate"} & set(row)


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: row.pop(key)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda row: row.update(colour="red"), id="a key that nobody knows"),
        pytest.param(lambda row: row.update(score=100.01), id="a score above 100"),
        pytest.param(lambda row: row.update(score="75"), id="a score in quotes"),
        pytest.param(lambda row: row.update(error={"code": "empty", "message": "m"}), id="score and error"),
        pytest.param(lambda row: row.update(width=0), id="no pixels"),
        pytest.param(lambda row: row.update(width=600.5), id="half a pixel"),
        pytest.param(lambda row: row.update(model="dgqa-lite0"), id="a model without its hash"),
        pytest.param(lambda row: row.update(warnings=["odd"]), id="a warning that nobody knows"),
        pytest.param(lambda row: row.update(votes=[0, 1, 2, 2]), id="a domain twice"),
        pytest.param(lambda row: row.update(votes=[0, 1, 2, 26]), id="a domain that there is not"),
        pytest.param(lambda row: row["distortions"].append({"name": "grain"}), id="no probability"),
        pytest.param(
            lambda row: row["distortions"].append({"name": "grain", "probability": 1, "severity": 5}),
            id="worse than KADID's scale",
        ),
        pytest.param(lambda row: row["attributes"].pop("noise"), id="half of the attributes"),
        pytest.param(lambda row: row["probabilities"].update(jpeg=1.5), id="more than certain"),
        pytest.param(lambda row: row["gate"].update(passed="yes"), id="a verdict in words"),
        *(
            pytest.param(_without(key), id=f"no {key}")
            for key in ("path", "score", "raw", "model", "size", "mtime")
        ),
    ],
)
def test_a_wrong_row_is_refused(
    schemas: Schemas, rows: list[dict[str, Any]], spoil: Callable[[dict[str, Any]], Any]
) -> None:
    row = copy.deepcopy(next(row for row in rows if row["path"] == "photos/coffee.webp"))
    row["gate"] = {"rule": "r", "passed": True, "reasons": [], "within_tolerance": False}
    schemas["row"].validate(row)
    spoil(row)
    with pytest.raises(jsonschema.ValidationError):
        schemas["row"].validate(row)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "lost", "message": "m"},
        {"code": "empty"},
        {"code": "empty", "message": "m", "at": 3},
        "empty",
    ],
)
def test_a_wrong_error_is_refused(schemas: Schemas, rows: list[dict[str, Any]], error: object) -> None:
    row = next(row for row in rows if "error" in row)
    with pytest.raises(jsonschema.ValidationError):
        schemas["row"].validate(row | {"error": error})


def test_the_error_codes_are_the_programs(schemas: Schemas, page: str) -> None:
    codes = schemas["row"].schema["$defs"]["failed"]["properties"]["error"]["properties"]["code"]["enum"]
    assert tuple(codes) == ERROR_CODES
    told = re.findall(
        r"^\| `([a-z_]+)` \| .+ \| .+ \|$", page.partition("## An input")[2].partition("\n## ")[0], re.M
    )
    assert tuple(told) == ERROR_CODES


def test_the_page_tells_every_key_column_warning_and_exit_code(schemas: Schemas, page: str) -> None:
    scored = schemas["row"].schema["$defs"]["scored"]["properties"]
    keys, _, rest = page.partition("| warning | means |")
    told = re.findall(r"`([a-z]+)`", " ".join(re.findall(r"^\| (`.+?) \|", keys, re.M)))
    assert set(told) == set(scored)
    warnings = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", rest.partition("\n## ")[0], re.M)
    assert sorted(warnings) == scored["warnings"]["items"]["enum"]
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page.partition("## CSV")[2], re.M)
    assert tuple(name for name, _ in table) == COLUMNS
    assert {name for name, kind in table if kind == "double"} == set(NUMBERS)
    assert {name for name, kind in table if kind == "int64"} == set(INTEGERS)
    exits = re.findall(r"^\| (\d+) \|", page.partition("## Exit codes")[2], re.M)
    assert [int(code) for code in exits] == [code.value for code in ExitCode]


def test_the_rows_that_the_page_shows_fit(schemas: Schemas, page: str) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.S)
    lines = shown.splitlines()
    assert len(lines) == 2
    for line in lines:
        schemas["row"].validate(json.loads(line))


def test_every_warning_that_the_code_has_is_known(schemas: Schemas, repository: Path) -> None:
    """The words are looked for in the source, where each is written once."""
    known = schemas["row"].schema["$defs"]["scored"]["properties"]["warnings"]["items"]["enum"]
    modules = sorted((repository / "dgqa_infer/images").rglob("*.py"))
    text = "\n".join(module.read_text(encoding="utf-8") for module in modules)
    ways = (
        r'warnings\.append\("(\w+)"\)',
        r'(?:CORRUPT_DATA|CPU_DECODED|METADATA_IGNORED|NOT_A_PHOTOGRAPH) = "(\w+)"',
        r'\("([a-z_]+)",\)',
    )
    assert {word for way in ways for word in re.findall(way, text)} == set(known)


def test_a_selection_of_a_real_run_fits(schemas: Schemas, selection: dict[str, Any]) -> None:
    schemas["selection"].validate(selection)
    assert {failure["code"] for failure in selection["unreadable"]} == {"truncated", "empty", "unsupported"}


@pytest.mark.parametrize(
    "change",
    [
        {"selected": [0]},
        {"selected": [3, 3]},
        {"votes": {"0": 1}},
        {"crops": "grid"},
        {"rule": {"top": 4}},
        {"photos": 0},
        {"drift": {"distance": 2}},
        {"unreadable": [{"path": "a", "code": "lost", "message": "m"}]},
        {"mood": "good"},
    ],
    ids=str,
)
def test_a_wrong_selection_is_refused(
    schemas: Schemas, selection: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        schemas["selection"].validate(selection | change)


def test_the_built_in_card_fits_on_disk_and_as_it_is_printed(
    schemas: Schemas, program: Callable[..., str]
) -> None:
    bundle = Bundle.load("dgqa-lite0")
    schemas["card"].validate(json.loads((bundle.path / "card.json").read_bytes()))
    printed = json.loads(program("models", "dgqa-lite0"))
    schemas["card"].validate(printed)
    schemas["card"].validate(bundle.with_scaled_decoding().card.as_json())


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), 2),
        (("name",), "Has Spaces"),
        (("precision",), "fp8"),
        (("files", "model.onnx", "sha256"), "0" * 63),
        (("files", "model.onnx", "bytes"), 0),
        (("files", "../model.onnx"), {"sha256": "0" * 64, "bytes": 1}),
        (("preprocessing", "grid"), 4),
        (("preprocessing", "filter"), "nearest"),
        (("preprocessing", "mirror"), True),
        (("score", "direction"), "lower is better"),
        (("score", "raw_range"), [0]),
        (("score", "calibration", "score"), [0, 101]),
        (("tolerances", "fp32"), -1),
        (("domains",), None),
        (("domains", "classes"), ["jpeg", "pristine"]),
        (("domains", "temperature"), 0),
        (("domains", "faults", "jpeg", "threshold"), "high"),
        (("domains", "faults", "jpeg", "severity"), [0, 4.5]),
        (("domains", "faults", "jpeg", "evidence"), [1]),
        (("domains", "faults", "jpeg", "harm"), 1),
        (("training",), []),
        (("opinion",), "good"),
    ],
    ids=str,
)
def test_a_card_that_the_program_refuses_the_schema_refuses_too(
    schemas: Schemas, where: tuple[str, ...], value: object
) -> None:
    card = copy.deepcopy(Bundle.load("dgqa-lite0").card.as_json())
    *folders, last = where
    place = card
    for name in folders:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(ModelError):
        Card.from_json(card)
    with pytest.raises(jsonschema.ValidationError):
        schemas["card"].validate(card)
