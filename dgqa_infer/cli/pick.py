"""`dgqa-infer pick`: photographs by their scores, into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.cli._options import JsonOption, QuietOption, finite, output_path
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.outputs.picking import How

if TYPE_CHECKING:
    from dgqa_infer.results import Row

_NAMED = 10


def pick(
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="What `score` wrote: .jsonl, .csv or .parquet.")
    ],
    into: Annotated[
        Path, typer.Option(metavar="DIR", parser=output_path, help="Where they go; made if it is not there.")
    ],
    worst: Annotated[int | None, typer.Option(min=1, metavar="N", help="The N lowest scores.")] = None,
    best: Annotated[int | None, typer.Option(min=1, metavar="N", help="The N highest scores.")] = None,
    below: Annotated[
        float | None,
        typer.Option(callback=finite, metavar="SCORE", help="Only photographs with a lower score."),
    ] = None,
    from_: Annotated[
        float | None,
        typer.Option("--from", callback=finite, metavar="SCORE", help="Only this score and higher ones."),
    ] = None,
    gate: Annotated[
        bool | None,
        typer.Option(
            "--passed/--failed", help="Only photographs that passed, or failed, the gate of `score`."
        ),
    ] = None,
    how: Annotated[
        How, typer.Option(help="Copy them, make symbolic links to them, or move them.")
    ] = How.COPY,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The folder that `score` ran in. Nothing outside of it is touched.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Copy, link or move photographs by their scores.

    Options narrow together: `--failed --worst 20` takes the 20 worst of those that failed. Paths within the
    set stay as they are, a sidecar `IMG.jpg.xmp` goes along, and nothing that is in DIR is replaced. A
    photograph that changed since it was scored is left where it is.

    Exit codes: 0 all done, 2 usage, 3 some photographs are missing, changed or in the way of others.
    """
    out = Output(json=json, quiet=quiet)
    if worst is not None and best is not None:
        raise UsageError("--worst and --best exclude each other")
    if worst is best is below is from_ is gate is None:
        raise UsageError("say which: --worst N, --best N, --below SCORE, --from SCORE, --passed or --failed")
    if into.exists() and not into.is_dir():
        raise UsageError(f"--into {into} is a file: name a folder")
    from dgqa_infer.cli._rows import rows_in

    everything = rows_in(rows, out)
    chosen = _chosen(everything, worst, best, below, from_, gate)
    done, problems = _put(everything, chosen, into, how, photos, dry_run, out)
    if out.json:
        out.document({"dry_run": dry_run, "how": how.value, "photographs": done, "problems": problems})
    else:
        out.table(
            [_line(each) for each in done], title=f"{'Would be ' if dry_run else ''}{_PAST[how]} into {into}"
        )
    for problem in problems[:_NAMED]:
        out.warn(problem)
    if len(problems) > _NAMED:
        out.warn(f"… and {len(problems) - _NAMED:,} more; --json names all")
    out.note(f"{len(done):,} of {len(everything):,} photographs {'would be ' if dry_run else ''}{_PAST[how]}")
    raise typer.Exit(ExitCode.SOME_FAILED if problems else ExitCode.OK)


_PAST = {How.COPY: "copied", How.LINK: "linked", How.MOVE: "moved"}


def _chosen(
    rows: list[Row],
    worst: int | None,
    best: int | None,
    below: float | None,
    least: float | None,
    passed: bool | None,
) -> list[Row]:
    """The rows that the options leave, in the order of the file, or of their scores."""
    if passed is not None and not any("gate" in row for row in rows):
        raise UsageError("no row has a gate's verdict: score with --gate first")
    # A failed photograph may have no score; by its score none is chosen then.
    scored = worst is not None or best is not None or below is not None or least is not None
    found = [
        row
        for row in rows
        if (not scored or "error" not in row)
        and (below is None or row["score"] < below)
        and (least is None or row["score"] >= least)
        and (passed is None or ("gate" in row and row["gate"]["passed"] is passed))
    ]
    if worst is not None:
        return sorted(found, key=lambda row: row["score"])[:worst]
    return found if best is None else sorted(found, key=lambda row: -row["score"])[:best]


def _put(
    everything: list[Row],
    chosen: list[Row],
    into: Path,
    how: How,
    root: Path | None,
    dry_run: bool,
    out: Output,
) -> tuple[list[dict[str, Any]], list[str]]:
    from dgqa_infer.cli._rows import has_changed
    from dgqa_infer.comparison.pairing import names_in_set
    from dgqa_infer.inputs.local import local_file
    from dgqa_infer.outputs.picking import mark_copies, place_in, put

    names = {row["path"]: name for row, name in zip(everything, names_in_set(everything), strict=True)}
    done, problems = [], []
    made = not into.exists()
    with out.progress("picking", len(chosen)) as bar:
        for row in chosen:
            bar.advance()
            path = str(row["path"])
            if (file := local_file(path, root)) is None:
                problems.append(f"{path} is not there; --photos names the folder that its path starts in")
                continue
            if has_changed(row, file, moved=root is not None):
                problems.append(f"{path} has changed since it was scored, and is left where it is")
                continue
            target = place_in(into, names[row["path"]])
            try:
                if not dry_run:
                    put(Path(file), target, how)
            except OutputError as error:
                problems.append(str(error))
                continue
            done.append({"path": path, "score": row.get("score"), "target": str(target)})
    if made and how is not How.MOVE and into.is_dir():
        mark_copies(into)
    return done, problems


def _line(record: dict[str, Any]) -> dict[str, Any]:
    score = record["score"]
    return {
        "score": "–" if score is None else f"{score:.1f}",
        "photograph": record["path"],
        "now": record["target"],
    }
