"""`dgqa-infer report`: a page that shows what a run found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgqa_infer.cli._files import check_outputs
from dgqa_infer.cli._options import ModelOption, OverwriteOption, QuietOption, bytes_of, output_or_stdout
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import UsageError
from dgqa_infer.streams import STDOUT


def report(
    rows: Annotated[
        str, typer.Argument(metavar="ROWS|-", help="What `score` wrote: .jsonl, .csv, .parquet; - is stdin.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", parser=output_or_stdout, metavar="FILE.html|-", help="The page; - is stdout."
        ),
    ] = Path("report.html"),
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder that `score` ran in. Nothing outside of it is read."),
    ] = None,
    overwrite: OverwriteOption = False,
    model: ModelOption = "dgqa-lite0",
    worst: Annotated[
        int,
        typer.Option(min=0, max=200, metavar="N", help="How many of the worst are shown large."),
    ] = 24,
    pictures: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Space for pictures, the worst photographs first; 0: none."),
    ] = "4MB",
    quiet: QuietOption = False,
) -> None:
    """Make a page of a run's rows: one HTML file with all in it, to be opened anywhere and sent to anyone.

    It shows the worst photographs and what is wrong with each, the scores' distribution, how often each fault
    was found, why photographs have no score, and all photographs as pictures or as a table that can be
    sorted and searched. Score with --explain, so that it can say what is wrong.

    Exit codes: 0 the page is written, 2 usage, 70 an internal error (please report it).
    """
    out = Output(quiet=quiet)
    if photos is not None and not photos.is_dir():
        raise UsageError(f"{photos} is no folder")
    check_outputs(output, overwrite=overwrite, read=[] if rows == "-" else [rows])
    space = 0 if pictures.strip() == "0" else bytes_of("--pictures", pictures)
    from dgqa_infer.atomic import whole_file
    from dgqa_infer.outputs.html import HtmlSink
    from dgqa_infer.outputs.html.pictures import Picturing
    from dgqa_infer.outputs.reader import read_rows

    picturing = Picturing(worst, space, photos)
    with (
        out.progress("drawing pictures") as bar,
        whole_file(output, overwrite=overwrite) as file,
        HtmlSink(file, model, picturing, lambda *_: bar.advance()) as sink,
    ):
        for number, row in read_rows(rows, out.warn):
            try:
                sink.write(row)  # type: ignore[arg-type]
            except ValueError as error:
                raise UsageError(f"{rows}: line {number} is not a row of `score`: {error}") from error
    for note in sink.notes:
        out.note(note)
    out.note(f"{sink.rows:,} rows are in {'stdout' if output == STDOUT else output}")
