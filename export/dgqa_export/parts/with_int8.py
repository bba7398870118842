"""A bundle with its int8 graph beside the one in fp32, so that `--precision` can choose.

    dgqa-infer export --int8 --photos PHOTOGRAPHS
    python -m dgqa_export.parts.with_int8 dgqa-lite0 exported/dgqa-lite0-int8 OUT --made-by COMMAND

The card gains what the int8 bundle's says of its drift, and the command that made it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dgqa_infer.bundle.bundle import INT8_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.errors import ModelError


def with_int8(bundle: Bundle, int8: Bundle, folder: Path, command: str) -> Bundle:
    """Write a bundle again, with the graph of its int8 export beside its own.

    Args:
        bundle: in fp32.
        int8: that was exported from it.
        folder: of the new bundle; may be that of the old one.
        command: that made the int8 bundle.

    Raises:
        ModelError: the two are not the same model.
        OutputError: the folder cannot be written.
    """
    ours, theirs = bundle.card, int8.card
    same = (ours.version, ours.calibration, ours.preprocessing, f"{ours.name}-int8")
    if (
        theirs.precision != "int8"
        or (theirs.version, theirs.calibration, theirs.preprocessing, theirs.name) != same
    ):
        raise ModelError(f"{theirs.name} {theirs.version} is not {ours.name} {ours.version} in int8")
    graphs = {name: bundle.graph_bytes(name) for name in ours.files}
    graphs[INT8_GRAPH] = int8.graph_bytes(QUALITY_GRAPH)
    kept = [figure for figure in ours.figures if figure.get("kind") != "drift"]
    drift = [figure for figure in theirs.figures if figure.get("kind") == "drift"]
    tolerances = {**ours.tolerances, "int8": theirs.tolerances["int8"]}
    training = {**ours.training, "int8": {"command": command}}
    card = replace(ours, training=training, tolerances=tolerances, figures=(*kept, *drift))
    return write_bundle(folder, graphs, card)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("int8", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--made-by", required=True, metavar="COMMAND", help="that made the int8 bundle")
    given = parser.parse_args(arguments)
    bundle = with_int8(Bundle.load(given.bundle), Bundle.load(given.int8), given.out, given.made_by)
    print(f"{given.out}: {bundle.model_id}, {bundle.in_int8().model_id}")


if __name__ == "__main__":
    main()
