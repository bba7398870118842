"""`--explain`, which may stand alone or say how much: `--explain=all`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from dgqa_infer.options import Explain

_OPTION = "--explain"


class Explained(StrEnum):
    """What rows say of what is wrong with a photograph."""

    NAMED = "named"
    ALL = "all"


ExplainOption = Annotated[
    Explained | None,
    typer.Option(
        _OPTION,
        metavar="[=all]",
        help="Also say what is wrong with each; with =all also the probability of every distortion.",
        show_default=False,
    ),
]


class ExplainingCommand(TyperCommand):
    """A command whose option `--explain` takes no value from the next argument, as Typer's would."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give the option its value where it stands alone."""
        end = args.index("--") if "--" in args else len(args)
        alone = f"{_OPTION}={Explained.NAMED}"
        return super().parse_args(ctx, [*(alone if a == _OPTION else a for a in args[:end]), *args[end:]])


def explain_of(given: Explained | None) -> Explain:
    """What the option says to `ScoringOptions`."""
    return "all" if given is Explained.ALL else given is not None
