"""`dgqa-infer rate`: scores as stars, in sidecars."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.cli._options import JsonOption, QuietOption, finite
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.ratings.sidecars import Naming

if TYPE_CHECKING:
    from dgqa_infer.ratings.stars import Stars
    from dgqa_infer.results import Row

_NAMED = 10


def rate(
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="What `score` wrote: .jsonl, .csv or .parquet.")
    ],
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The folder that `score` ran in. Nothing outside of it is touched.",
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C,D",
            help="Scores from which on a photograph has 2, 3, 4 and 5 stars.",
            show_default="the set's own: 10 % have one star, 20 % two, 40 % three, 20 % four, 10 % five",
        ),
    ] = None,
    reject_below: Annotated[
        float | None,
        typer.Option(
            callback=finite, metavar="SCORE", help="Mark photographs with a lower score as rejected."
        ),
    ] = None,
    naming: Annotated[
        Naming,
        typer.Option(help="A new sidecar's name: full is IMG.jpg.xmp (darktable), stem is IMG.xmp (Adobe)."),
    ] = Naming.FULL,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write stars into XMP sidecars, which darktable, digiKam, Lightroom and Bridge read.

    Photographs are never written to. A rating that a person gave, in a sidecar or in the photograph, stays;
    so does everything else in a sidecar. Run again after scoring again: only what this command gave is
    changed.

    Exit codes: 0 all done, 2 usage, 3 some photographs are missing or changed, or their sidecars cannot
    be used.
    """
    out = Output(json=json, quiet=quiet)
    from dgqa_infer.cli._rows import rows_in
    from dgqa_infer.ratings.stars import Stars

    found = [row for row in rows_in(rows, out) if "error" not in row]
    if not found:
        raise UsageError(f"{rows} has no scores")
    scale = (
        Stars.of_set([row["score"] for row in found], reject_below)
        if thresholds is None
        else Stars.parse(thresholds, reject_below)
    )
    done, problems = _rate(found, scale, photos, naming, dry_run, out)
    if out.json:
        out.document(
            {
                "thresholds": [round(value, 2) for value in scale.thresholds],
                "reject_below": scale.reject_below,
                "dry_run": dry_run,
                "photographs": done,
                "problems": problems,
            }
        )
    else:
        out.table(_table(done, scale), title="Would be rated" if dry_run else "Rated")
    for problem in problems[:_NAMED]:
        out.warn(problem)
    if len(problems) > _NAMED:
        out.warn(f"… and {len(problems) - _NAMED:,} more; --json names all")
    raise typer.Exit(ExitCode.SOME_FAILED if problems else ExitCode.OK)


def _rate(
    rows: list[Row], scale: Stars, root: Path | None, naming: Naming, dry_run: bool, out: Output
) -> tuple[list[dict[str, Any]], list[str]]:
    from dgqa_infer.cli._rows import has_changed
    from dgqa_infer.inputs.local import local_file
    from dgqa_infer.ratings.sidecars import Sidecar

    done, problems, used = [], [], dict[Path, str]()
    with out.progress("rating", len(rows)) as bar:
        for row in rows:
            bar.advance()
            path, stars = str(row["path"]), scale.of(row["score"])
            if (file := local_file(path, root)) is None:
                problems.append(f"{path} is not there; --photos names the folder that its path starts in")
                continue
            if has_changed(row, file, moved=root is not None):
                problems.append(f"{path} has changed since it was scored, and is not rated")
                continue
            sidecar = Sidecar.of(Path(file), naming)
            if (other := used.setdefault(sidecar.path, path)) != path:
                problems.append(f"{path} shares the sidecar {sidecar.path} with {other}, and is not rated")
                continue
            facts = {"Score": f"{row['score']:.2f}", "Model": str(row.get("model", ""))}
            try:
                outcome = sidecar.rate(stars, facts, dry_run=dry_run)
            except OutputError as error:
                problems.append(str(error))
                continue
            done.append(
                {"path": path, "stars": stars, "sidecar": str(sidecar.path), "outcome": outcome.value}
            )
    return done, problems


def _table(done: list[dict[str, Any]], scale: Stars) -> list[dict[str, Any]]:
    counts = Counter((each["stars"], each["outcome"]) for each in done)
    starts = [f"from {value:.1f}" for value in reversed(scale.thresholds)] + ["below"]
    rows: list[tuple[str, int, str]] = [
        ("★" * stars, stars, start) for stars, start in zip(range(5, 0, -1), starts, strict=True)
    ]
    if scale.reject_below is not None:
        rows.append(("rejected", -1, f"below {scale.reject_below:g}"))
    return [
        {
            "rating": words,
            "score": start,
            "written": counts[stars, "written"],
            "unchanged": counts[stars, "unchanged"],
            "a person's, kept": counts[stars, "kept"],
        }
        for words, stars, start in rows
    ]
