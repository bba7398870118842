"""Options that programs share."""

from __future__ import annotations

import argparse

DEFAULT_MODEL = "dgqa-lite0"


def new_parser(documentation: str | None, *, model: bool = False) -> argparse.ArgumentParser:
    """A parser that shows a program's documentation as its help.

    Args:
        documentation: the program's `__doc__`.
        model: whether the program takes `--model`: a built-in bundle's name or a bundle's folder.
    """
    parser = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if model:
        parser.add_argument("--model", default=DEFAULT_MODEL, help="built-in bundle or a bundle's folder")
    return parser
