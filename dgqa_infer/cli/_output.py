"""The one place where commands speak: data on stdout, people on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dgqa_infer.cli._streams import say, writing_stream
from dgqa_infer.text import as_json, printable

if TYPE_CHECKING:
    from rich.progress import Progress


class Ticker(Protocol):
    """What a command tells its progress bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say that so many steps more are done, and perhaps a few words on how it goes."""
        ...


class Output:
    """Where one command's words go.

    Attributes:
        quiet: say nothing on stderr but errors.
        json: write data as JSON; else as a table. None: a table to a terminal, JSON to anything else.
    """

    def __init__(self, *, json: bool | None = None, quiet: bool = False) -> None:
        self.quiet = quiet
        self.json = (not sys.stdout.isatty()) if json is None else json

    def table(self, rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
        """Write records to stdout: a table for people, an array for programs.

        Args:
            rows: one mapping a record; the first one's keys are the columns.
            title: stands above the table; a program never sees it.
        """
        if self.json:
            self.document(list(rows))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left")
        for column in rows[0] if rows else ():
            table.add_column(str(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row.values()))
        with writing_stream():
            Console().print(table)

    def document(self, data: object) -> None:
        """Write one JSON document to stdout."""
        self.text(as_json(data, indent=2, encoding=sys.stdout.encoding or "utf-8"))

    def text(self, line: str) -> None:
        """Write a line of data to stdout."""
        with writing_stream():
            sys.stdout.write(line + "\n")

    def note(self, message: str | None) -> None:
        """Tell a person on stderr, unless they asked for quiet or there is nothing to tell."""
        if message is not None and not self.quiet:
            say(printable(message))

    def warn(self, message: str) -> None:
        """Warn a person on stderr, quiet or not."""
        say(f"warning: {printable(message)}")

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Ticker]:
        """Show a progress bar on stderr while the block runs, if a person is there to see it.

        Args:
            description: stands before the bar.
            total: number of steps; None where unknown.
        """
        if self.quiet or not sys.stderr.isatty():
            yield _Silent()
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        count = [MofNCompleteColumn(), TimeRemainingColumn()] if total else [TextColumn("{task.completed:,}")]
        columns = [TextColumn("{task.description}"), BarColumn(), *count, TimeElapsedColumn()]
        with Progress(
            *columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True
        ) as bar:
            yield _Bar(bar, description, total)


class _Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class _Bar:
    def __init__(self, bar: Progress, description: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(description, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bar.update(self._task, advance=steps, note=printable(note))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return printable(", ".join(map(str, value)))
    return "" if value is None else printable(str(value))
