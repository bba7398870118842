"""`dgqa-infer score --cluster`: how it is said, and what can be known before a cluster is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from typer.core import TyperCommand

from dgqa_infer.errors import UsageError

_OPTION = "--cluster"
_LOCAL = "local"
_ADDRESS = re.compile(r"(auto|local|ray://.+|[^/]+:\d+)")


class ScoreCommand(TyperCommand):
    """A command whose option `--cluster` may stand alone, which is more than an option of Typer's can."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Say "local" where no address follows the option."""
        end = args.index("--") if "--" in args else len(args)
        if _OPTION in args[:end]:
            place = args.index(_OPTION)
            following = args[place + 1] if place + 1 < end else ""
            if _ADDRESS.fullmatch(following) is None:
                args = [*args[: place + 1], _LOCAL, *args[place + 1 :]]
        return super().parse_args(ctx, args)


@dataclass(frozen=True, slots=True)
class ClusterTarget:
    """Which cluster scores, and where its rows go.

    Attributes:
        address: of the cluster; "local" for one that is started for the run.
        output: folder or address that the rows go to.
        format: of the rows: "parquet" or "jsonl".
        resume: whether an earlier run is to be continued.
        cores: of each actor; None for what divides the nodes best.
        gpus: of each actor; None for one where there are any.
        largest: photographs of a partition, at most.
    """

    address: str
    output: str
    format: str
    resume: bool
    cores: int | None
    gpus: float | None
    largest: int

    @classmethod
    def choose(
        cls,
        address: str,
        output: str,
        format: str | None,
        *,
        resume: bool,
        cores: int | None,
        gpus: float | None,
        largest: int,
    ) -> ClusterTarget:
        """From what the options say; the format is Parquet unless they say another.

        Raises:
            UsageError: they contradict each other, or an extra is missing.
        """
        from dgqa_infer.ray.dataset import import_ray
        from dgqa_infer.ray.partitions import FORMATS

        if output == "-":
            raise UsageError("--cluster writes many files: name a folder or an address with --output")
        if format is not None and format not in FORMATS:
            raise UsageError(f"--cluster writes {' or '.join(FORMATS)}, not {format}")
        import_ray()
        return cls(address, output, format or "parquet", resume, cores, gpus, largest)
