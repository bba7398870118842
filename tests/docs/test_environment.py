"""docs/README.md has every environment variable that the program reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("dgqa_infer", "training/dgqa_training", "export/dgqa_export")
HANDED_ON = {
    # Takes back what it has set for the processes that it starts, whichever those are.
    "training/dgqa_training/synthesis/_processes.py": {"changes"},
}
"""File → names of parameters that hold variables which the function does not choose."""
READS = {"get", "setdefault", "pop"}


def is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def keys(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions by which variables are looked up; not those that are only set."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(value, method), [key, *_]) if method in READS and is_environment(
                value
            ):
                yield key
            case ast.Call(ast.Name("getenv") | ast.Attribute(_, "getenv"), [key, *_]):
                yield key
            case ast.Subscript(value, key, ast.Load()) if is_environment(value):
                yield key
            case ast.Compare(key, [ast.In() | ast.NotIn()], [value]) if is_environment(value):
                yield key


def constants(tree: ast.Module) -> dict[str, set[str]]:
    """Name → the texts in its value, of what a module assigns."""
    found: dict[str, set[str]] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            # Of a table the keys alone are names.
            values = node.value.keys if isinstance(node.value, ast.Dict) else [node.value]
            texts = {
                each.value
                for value in values
                if value is not None
                for each in ast.walk(value)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
            found |= {target.id: texts for target in targets if isinstance(target, ast.Name)}
    return found


def looped_over(tree: ast.AST, key: ast.expr) -> str:
    """What the innermost loop around a key goes over, where the key is its first variable; else the key."""
    name = ast.unparse(key)
    for node in ast.walk(tree):
        if not any(inner is key for inner in ast.walk(node)):
            continue
        for loop in [node] if isinstance(node, ast.For) else getattr(node, "generators", []):
            over, target = loop.iter, loop.target
            if isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute):
                over = over.func.value  # .items()
            first = target.elts[0] if isinstance(target, ast.Tuple) else target
            if ast.unparse(first) == ast.unparse(key):
                name = ast.unparse(over)
    return name


def variables(source: str, handed_on: set[str]) -> set[str]:
    """The names of the variables that a module reads."""
    tree = ast.parse(source)
    known, found = constants(tree), set[str]()
    for key in keys(tree):
        if isinstance(key, ast.Constant):
            found.add(key.value)
            continue
        name = looped_over(tree, key)
        if name not in handed_on:
            assert name in known, f"which variable is {ast.unparse(key)} in line {key.lineno}?"
            found |= known[name]
    return found


def test_every_environment_variable_that_is_read_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "README.md").read_text(encoding="utf-8")
    table = page.split("## Environment variables", 1)[1].split("\n## ", 1)[0]
    documented = set(re.findall(r"`(\w+)`", table))
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (repository / package).rglob("*.py"):
            name = path.relative_to(repository).as_posix()
            found[name] = variables(path.read_text(encoding="utf-8"), HANDED_ON.get(name, set()))
    assert {name: read - documented for name, read in found.items() if read - documented} == {}
    # And none of ours that is no more.
    ours = {name for name in documented if name.startswith("DGQA_")}
    assert ours <= set().union(*found.values())


def test_a_variable_is_found_however_its_name_is_spelled() -> None:
    source = """
import os
from os import environ, getenv
ONE = "DGQA_ONE"
MORE: Final = ("DGQA_TWO", "DGQA_THREE")
TABLE = {"DGQA_FOUR": "1"}
def read():
    os.environ["SET"] = "1"
    del os.environ["DELETED"]
    for key, value in TABLE.items():
        os.environ.setdefault(key, value)
    return os.environ.get(ONE), [environ[name] for name in MORE], getenv("DGQA_FIVE"), "DGQA_SIX" in environ
"""
    numbers = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX")
    assert variables(source, set()) == {f"DGQA_{number}" for number in numbers}
