"""One run of `score`: where its rows go, what has been done before, and how it is stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from dgqa_infer.atomic import check_output, whole_file
from dgqa_infer.cli._errors import ExitCode, report
from dgqa_infer.cli._files import check_outputs
from dgqa_infer.cli._output import Output, Ticker
from dgqa_infer.cli._stopping import StopSignals
from dgqa_infer.cli._streams import writing_stream
from dgqa_infer.errors import PASSING_CODES, OutputError, UsageError
from dgqa_infer.outputs import FORMATS, Sink, open_sink
from dgqa_infer.outputs.table import Order, SortedTableSink
from dgqa_infer.streams import is_stream, open_stream

if TYPE_CHECKING:
    from dgqa_infer.cli._summary import Summary
    from dgqa_infer.gate import Gate
    from dgqa_infer.inputs.files import Input
    from dgqa_infer.options import ScoringOptions
    from dgqa_infer.outputs.maps import MapFolder
    from dgqa_infer.outputs.recovery import RecoveryLog
    from dgqa_infer.patience import Patience
    from dgqa_infer.pipeline.pipeline import Pipeline
    from dgqa_infer.results import Row, Score

_STDOUT = "-"
# In which a file's size and time are asked for.
_STATUS_SECONDS = 60.0
_BY_EXTENSION = {".ndjson": "jsonl"} | {f".{name}": name for name in FORMATS}


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go, and how they are written.

    Attributes:
        path: of the output; None for stdout.
        format: one of `dgqa_infer.outputs.FORMATS`.
        resume: whether an earlier run is to be continued.
        overwrite: whether files that are there are replaced.
        retry: whether that run's failures are tried again; None: those that may have passed since.
        options: of the run; None until they are known.
        setup: `dgqa_infer.setup.setup_of` them.
        model: name or folder of the bundle that scores.
        classes: whose probabilities have columns in a table.
        order: of a terminal's table; None: that of the inputs.
        most: lines of that table; None: all.
    """

    path: Path | None
    format: str
    resume: bool
    overwrite: bool = False
    retry: bool | None = None
    options: ScoringOptions | None = None
    setup: str = ""
    model: str | None = None
    classes: tuple[str, ...] = ()
    order: Order | None = None
    most: int | None = None

    @classmethod
    def choose(
        cls,
        output: str,
        format: str | None,
        *,
        resume: bool,
        overwrite: bool = False,
        retry: bool | None = None,
        model: str | None = None,
    ) -> Target:
        """From what the options say.

        Raises:
            UsageError: they contradict each other, or the format is not known or needs an extra.
        """
        path = None if output == _STDOUT else Path(output)
        if resume and path is None:
            raise UsageError("--resume continues a file: name it with --output")
        if resume and path is not None and is_stream(path):
            raise UsageError(f"--resume continues a file, and {output} is none")
        if retry is not None and not resume:
            raise UsageError("--retry-failed and --keep-failed are for --resume: add it")
        if format is None:
            if path is None:
                format = "table" if sys.stdout.isatty() else "jsonl"
            elif (format := _BY_EXTENSION.get(path.suffix.lower())) is None:
                raise UsageError(f"{output}: the ending says no format; say --format {'|'.join(FORMATS)}")
        # Whether the format can be written at all is learnt before an hour has gone by.
        with open_sink(format, BytesIO()):
            return cls(path, format, resume, overwrite, retry, model=model)

    @property
    def streams(self) -> bool:
        """Whether rows go out as they come, without a log that they could be continued from."""
        return self.path is None or is_stream(self.path)

    @property
    def log_path(self) -> Path | None:
        """Of the log: the output itself if it is JSONL, else a file beside it; None where rows stream."""
        if self.path is None or self.streams:
            return None
        return self.path if self.format == "jsonl" else self.path.with_name(f"{self.path.name}.rows.jsonl")

    def check(self, *beside: Path | str | None) -> None:
        """Find out now what would keep the rows, and files beside them, from being written.

        Raises:
            OutputError: one cannot be written, or is there and is not to be replaced.
            UsageError: two are the same file, or a complete table is to be continued.
        """
        log, path = self.log_path, self.path
        if path is None or log == path:
            # A log is looked at when it is opened.
            check_outputs(*beside, overwrite=self.overwrite, continued=path)
            return
        if self.resume and path.exists() and log is not None and not log.exists():
            raise UsageError(
                f"{path} is complete, and --resume continues only what is not: name another file,"
                " or write .jsonl, which can always be continued"
            )
        # An earlier run's log says more of it, when it is opened, than that the table is there.
        begun = self.resume or (log is not None and log.exists() and log.stat().st_size > 0)
        check_output(path, overwrite=self.overwrite or begun)
        check_outputs(*beside, overwrite=self.overwrite, continued=path)

    def sorted(self, order: Order | None, worst: int | None) -> Target:
        """The same with a table in order.

        Raises:
            UsageError: it is no table, or the two contradict each other.
        """
        if order is None and worst is None:
            return self
        if self.format != "table":
            raise UsageError(
                "--sort and --worst are for the table: add --format table, or leave out --output"
            )
        if worst is not None and order not in (None, Order.WORST):
            raise UsageError(f"--worst lists the worst first: leave out --sort {order}")
        return replace(self, order=order or Order.WORST, most=worst)

    def writing(self) -> AbstractContextManager[None]:
        """Around what writes to a stream; see `dgqa_infer.cli._streams.writing_stream`."""
        return writing_stream("stdout" if self.path is None else self.path)

    def open_sink(self, stream: BinaryIO) -> Sink:
        """What writes the rows in their format."""
        if self.order is not None:
            return SortedTableSink(stream, self.order, self.most)
        return open_sink(self.format, stream, self.model, self.classes)

    def under(self, options: ScoringOptions) -> Target:
        """The same of a run with these options."""
        from dgqa_infer.setup import setup_of

        return replace(self, options=options, setup=setup_of(options))

    def open_log(self) -> AbstractContextManager[RecoveryLog | None]:
        """The log of the run; none where rows stream.

        Raises:
            UsageError: it is there, and is not to be continued or cannot be.
            OutputError: it cannot be written.
        """
        if self.log_path is None:
            return nullcontext()
        from dgqa_infer.outputs.recovery import RecoveryLog

        return RecoveryLog(self.log_path, resume=self.resume, overwrite=self.overwrite, again=self._again)

    def _again(self, row: Row) -> bool:
        """Whether an input with such a row of an earlier run is scored again."""
        from dgqa_infer.setup import is_as_asked

        if (error := row.get("error")) is None:
            return self.options is not None and not is_as_asked(row, self.options)
        if self.retry is not None:
            return self.retry
        return error["code"] in PASSING_CODES or error.get("setup") != self.setup


class Run:
    """Takes inputs through a pipeline and puts each row where it belongs."""

    def __init__(
        self,
        out: Output,
        target: Target,
        log: RecoveryLog | None,
        gate: Gate | None,
        summary: Summary,
        pipeline: Pipeline[Score],
        maps: MapFolder | None = None,
    ) -> None:
        self._out = out
        self._target = target
        self._log = log
        self._gate = gate
        self._summary = summary
        self._pipeline = pipeline
        self._maps = maps

    def go(self, inputs: Iterable[Input]) -> ExitCode:
        """Score all inputs, or those in hand when the user interrupts.

        Returns:
            The exit code; an output that could not be written is already told.

        Raises:
            BackendError: the runtime failed; the rows written before are valid.
            KeyboardInterrupt: the user interrupted twice.
        """
        try:
            # A pipe may have to wait for its reader: until then a signal ends the run, as it does others.
            signals = StopSignals(self._stop, self._pipeline.kill)
            with self._stream() as stream, signals, self._progress() as ticker:
                if self._log is not None:
                    self._score(self._not_done(inputs, self._log), self._log, ticker)
                    self._finish(self._log)
                elif stream is not None:
                    with _StreamSink(self._target, stream) as sink:
                        self._score(inputs, sink, ticker)
                    self._tell(sink.sink)
        except (OutputError, BrokenPipeError) as error:
            self._summary.unwritten = max(report(error), ExitCode.SOME_FAILED)
            return self._summary.unwritten
        if self._gate is not None:
            self._summary.gate = self._gate.verdict()
        self._summary.compare()
        return self._summary.exit_code()

    @contextmanager
    def _stream(self) -> Iterator[BinaryIO | None]:
        """Where rows go that stream; None for a run with a log."""
        if self._log is not None:
            yield None
        elif self._target.path is None:
            yield sys.stdout.buffer
        else:
            with ExitStack() as stack:
                with self._target.writing():
                    stream = stack.enter_context(open_stream(self._target.path))
                yield stream

    def _score(self, inputs: Iterable[Input], sink: _StreamSink | RecoveryLog, ticker: Ticker) -> None:
        for outcome in self._pipeline.run(inputs):
            if self._maps is not None:
                # Before the row: whatever is in the log when this process is killed has its map.
                self._maps.write(outcome)
            row = outcome.row()
            if "error" in row:
                row["error"]["setup"] = self._target.setup
            if self._gate is not None and (verdict := self._gate.judge(row)) is not None:
                row["gate"] = verdict
            sink.write(row)
            self._summary.count(row)
            ticker.advance()

    def _not_done(self, inputs: Iterable[Input], log: RecoveryLog) -> Iterator[Input]:
        """The inputs that have no row yet; counts the others."""
        from dgqa_infer.patience import Patience

        with Patience(_STATUS_SECONDS, "dgqa-status") as patience:
            for found in inputs:
                if log.rows_before and (isinstance(found, str) or found.path is not None):
                    scored = self._done(found, log, patience)
                    if scored is not None:
                        self._summary.skipped += scored
                        self._summary.skipped_failed += not scored
                        continue
                yield found

    def _done(self, found: Input, log: RecoveryLog, patience: Patience) -> bool | None:
        """Whether a file has its row, and its map, and has not changed since; see `RecoveryLog.done`."""
        from dgqa_infer.inputs.addresses import is_remote, shown
        from dgqa_infer.inputs.files import file_status

        if not isinstance(found, str):
            # A folder or an archive, of which no state is kept.
            return log.done(shown(found.path or ""), None, None, self._summary.model)
        path = found
        try:
            if is_remote(path):
                # Stores and the web have limits of their own.
                status = file_status(path, allow_private=self._pipeline.allow_private)
            else:
                status = patience.call(partial(file_status, path))
        except TimeoutError:
            # Whoever reads it will say so.
            return None
        scored = log.done(shown(path), *status, self._summary.model)
        if scored and self._maps is not None and not self._maps.holds(shown(path)):
            return None
        return scored

    def _finish(self, log: RecoveryLog) -> None:
        """Judge what an earlier run has scored, and write what is written whole."""
        if log.rows_before:
            self._summary.forget_content()
            if self._gate is not None:
                self._gate.forget()
            for row in log.rows():
                self._summary.count_content(row)
                if self._gate is not None:
                    self._gate.judge(row)
        path = self._target.path
        if path is None or self._target.format == "jsonl":
            return
        try:
            # What is there when a run is continued is its own table, of the rows until then.
            overwrite = self._target.overwrite or self._target.resume
            with whole_file(path, overwrite=overwrite) as file, self._target.open_sink(file) as sink:
                for row in log.rows():
                    sink.write(row)
            self._tell(sink)
        except OutputError as error:
            raise OutputError(f"{error}; its rows are in {log.path}; --resume goes on") from error
        if not self._summary.interrupted:
            log.discard()

    def _tell(self, sink: Sink) -> None:
        """What the sink found that a person should know, such as pictures that a report lacks."""
        for note in getattr(sink, "notes", ()):
            self._out.note(note)

    def _stop(self) -> None:
        self._summary.interrupted = True
        self._pipeline.stop()
        self._out.note("finishing what is in hand; interrupt again to stop at once")

    def _progress(self) -> AbstractContextManager[Ticker]:
        # Rows that scroll by in the same terminal are progress enough, and a bar would be torn by them.
        silent = self._out.quiet or (self._log is None and sys.stdout.isatty())
        return Output(quiet=silent).progress("scoring")


class _StreamSink:
    """A sink on a stream, whose errors are reported as such; a context manager."""

    def __init__(self, target: Target, stream: BinaryIO) -> None:
        self._target, self._stream = target, stream
        with target.writing():
            self.sink = target.open_sink(stream)

    def write(self, row: Row) -> None:
        with self._target.writing():
            self.sink.write(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._target.writing():
            self.sink.__exit__(kind, None, None)
            self._stream.flush()
