"""`dgqa-infer serve`: photographs over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dgqa_infer.cli._errors import extra
from dgqa_infer.cli._options import (
    BatchSizeOption,
    DeviceOption,
    FileSizeLimit,
    MemoryLimit,
    ModelOption,
    PixelsLimit,
    PrecisionOption,
    Precisions,
    ProfileLimit,
    QuietOption,
    SideLimit,
    StrictOption,
    TimeLimit,
    TotalMemoryLimit,
    WorkersOption,
    bytes_of,
    decode_limits,
    seconds_of,
    worker_limits,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import UsageError

if TYPE_CHECKING:
    from dgqa_infer.service.server import Server

TOKEN: Final = "DGQA_TOKEN"
"""This environment variable holds the token that requests must bring."""

_LOOPBACK: Final = ("127.", "::1")


class _Stop:
    """Ends the server once there is one; before, there is nothing to end."""

    server: Server | None = None

    def __call__(self) -> None:
        if self.server is not None:
            self.server.stop()


def serve(
    model: ModelOption = "dgqa-lite0",
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precisions.AUTO,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every IPv4 one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 8080,
    queue: Annotated[
        int, typer.Option(min=1, help="Photographs that may wait or be in work; more are answered 429.")
    ] = 64,
    strict: StrictOption = False,
    batch_size: BatchSizeOption = 8,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    limit_uploads: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Size of all bodies that are here at once.")
    ] = "1GB",
    limit_upload_time: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Time in which a body must arrive.")
    ] = "60s",
    limit_file_size: FileSizeLimit = "200MB",
    limit_pixels: PixelsLimit = "256MP",
    limit_side: SideLimit = "32768px",
    limit_profile: ProfileLimit = "4MB",
    limit_time: TimeLimit = "30s",
    limit_memory: MemoryLimit = "4GB",
    limit_total_memory: TotalMemoryLimit = None,
) -> None:
    """Score photographs over HTTP: POST one to /v1/score, and its row is the answer.

    Requests are batched together. /openapi.json describes them; /healthz, /readyz and /metrics are for
    operators. Where the environment variable DGQA_TOKEN is set, requests must bring it as a bearer token.
    There is no encryption: put a proxy before it. SIGTERM ends it once the requests in hand are answered.
    """
    out = Output(quiet=quiet)
    token = _token()
    # Only now what takes time to import: a wrong option is told at once.
    with extra("serve"):
        from dgqa_infer.service.server import Server, address_of, bind
        from dgqa_infer.service.start import ServiceOptions, open_service
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.options import ScoringOptions

    scoring = ScoringOptions(
        device=device,
        precision=precision.value,
        strict=strict,
        batch_size=batch_size,
        limits=decode_limits(limit_file_size, limit_pixels, limit_side, limit_profile),
        worker_limits=worker_limits(limit_time, limit_memory, limit_total_memory),
    )
    options = ServiceOptions(
        queue=queue,
        workers=workers,
        upload_bytes=bytes_of("--limit-uploads", limit_uploads),
        upload_seconds=seconds_of("--limit-upload-time", limit_upload_time),
        token=token,
    )
    stop = _Stop()
    with bind(host, port) as listener, open_service(Bundle.load(model), scoring, options, stop) as service:
        address = address_of(listener)
        stop.server = server = Server(service.app(), listener)
        if not service.queue.works:
            # It has failed since it was ready, when there was no server to be stopped.
            server.stop()
        if token is None and not listener.getsockname()[0].startswith(_LOOPBACK):
            out.warn(f"whoever reaches {address} may use it: {TOKEN} is not set")
        about = service.model
        out.note(f"{about['model']} on {address} ({about['backend']}, {about['device']})")
        out.note(service.unused_gpu)
        server.serve()


def _token() -> str | None:
    if (token := os.environ.get(TOKEN)) is None:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{TOKEN} must be printable ASCII without spaces: set another, or unset it")
    return token
