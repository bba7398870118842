"""A function fits a screen, and takes no more than one can keep in mind."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

LINES, PARAMETERS = 60, 8
FOLDERS = ("dgqa_infer", "training", "export", "benchmarks", "examples", "tests")
ROOT = Path(__file__).resolve().parent.parent
PATHS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def declares_a_command(path: Path, name: str) -> bool:
    """Whether a function's parameters are the options of a command: their declarations do not count."""
    return path.parent == ROOT / "dgqa_infer" / "cli" and not name.startswith("_") and path.stem[0] != "_"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_a_screen_or_has_more_parameters_than_one_remembers(folder: str) -> None:
    too_large = []
    for path in (path for path in PATHS if path.is_relative_to(ROOT / folder)):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            command = declares_a_command(path, node.name)
            first = node.body[0].lineno if command else node.lineno
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len(set(names) - {"self", "cls"})
            lines = (node.end_lineno or first) - first + 1
            if lines > LINES or (count > PARAMETERS and not command):
                where = path.relative_to(ROOT)
                too_large.append(f"{where}: {node.name} has {lines} lines and {count} parameters")
    assert not too_large
