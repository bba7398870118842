"""`dgqa-infer models`: the built-in bundles and the engines of this machine, or one bundle's card."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dgqa_infer.cli._options import JsonOption
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import BackendError


def models(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|DIR]", help="A model whose card to print: its origin, figures and licence."
        ),
    ] = None,
    path: Annotated[
        bool, typer.Option("--path", help="Print the folder of the model instead; model.onnx is in it.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """List the built-in models and the TensorRT engines that were built here; or print one model's card."""
    from dgqa_infer.bundle.bundle import Bundle, built_in

    output = Output(json=json)
    if path:
        output.text(str(Bundle.load(model or "dgqa-lite0").path))
        return
    if model is not None:
        output.document(Bundle.load(model).card.as_json())
        return
    bundles = [_row(Bundle.load(name)) for name in built_in()]
    try:
        engines = engine_rows()
    except BackendError as error:
        output.warn(str(error))
        engines = []
    if output.json:
        output.document({"bundles": bundles, "engines": engines})
        return
    output.table(bundles, title="Built-in models")
    if engines:
        output.table(shortened(engines), title="TensorRT engines of this machine")


def engine_rows() -> list[dict[str, Any]]:
    """The engines in the user's cache, one record each.

    Raises:
        BackendError: the cache is open to others.
    """
    from dgqa_infer.backends.tensorrt.engine_cache import EngineCache

    cache = EngineCache()
    return [
        {
            "model": record.model,
            "precision": record.key.precision,
            "batch": str(record.key.profile),
            "options": ", ".join(record.key.options),
            "gpu": record.key.environment.gpu,
            "built with": f"{record.key.environment.flavour} {record.key.environment.version}",
            "driver": record.key.environment.driver,
            "bytes": record.bytes,
            "file": str(cache.folder / f"{record.key.digest}.engine"),
        }
        for record in cache.records()
    ]


def shortened(engines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The engines as a table shows them: without their files' long names, which programs get."""
    return [{name: value for name, value in row.items() if name != "file"} for row in engines]


def _row(bundle: Any) -> dict[str, Any]:
    card = bundle.card
    return {
        "model": bundle.model_id,
        "version": card.version,
        "precision": card.precision,
        "preprocessing": card.preprocessing.id,
        "explains": card.domains is not None,
        "bytes": sum(record.bytes for record in card.files.values()),
        "licence": card.licence,
    }
