"""Run a program that measures: `python -m benchmarks NAME ARGUMENTS`; without a name, list them.

The exit code is the program's: 1 where it has a target and missed it.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def programs() -> dict[str, tuple[str, str]]:
    """Name of each program → the module that it is, and the first sentence of its documentation."""
    found = {}
    for file in sorted(HERE.glob("*/*.py")):
        tree = ast.parse(file.read_bytes())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            module = f"benchmarks.{file.parent.name}.{file.stem}"
            found[file.stem] = module, (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main() -> int:
    known = programs()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m benchmarks NAME ARGUMENTS\n")
        for name, (module, sentence) in sorted(known.items(), key=lambda item: item[1][0]):
            print(f"  {module.split('.')[1]:10}  {name:20}  {sentence}")
        return 0
    name = sys.argv[1]
    if name not in known:
        sys.exit(f"no benchmark is called {name!r}; `python -m benchmarks` lists them")
    sys.argv = [f"python -m benchmarks {name}", *sys.argv[2:]]
    return int(importlib.import_module(known[name][0]).main() or 0)


if __name__ == "__main__":
    sys.exit(main())
