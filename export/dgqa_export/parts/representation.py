"""A representation of our own, from photographs to a bundle: packed, trained on a GPU in minutes, exported.

    python -m dgqa_export.parts.representation pack PACK.tar --pristine FOLDER [--authentic FOLDER]
    python -m dgqa_export.parts.representation train PACK.tar RUN --minutes 5 --device cuda --workers 16
    python -m dgqa_export.parts.representation bundle PACK.tar RUN OUT --device cuda --workers 16
    python -m dgqa_export.parts.representation all PACK.tar RUN OUT --minutes 5 --device cuda --workers 16

`all` trains and makes the bundle. RUN/results.json has the figures of contents that were kept back, before
and after, speeds and the log; the bundle's card has the command, the settings and the figures. Interrupted,
the same command goes on where it was; given again, it trains for so many minutes more. No rating of any
photograph is read.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dgqa_export.bundles import card_for, graph_of
from dgqa_export.parts.pooled_bundle import pool
from dgqa_export.parts.quality_head import rebuild
from dgqa_infer.atomic import write_whole
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.errors import DgqaError, UsageError
from dgqa_training.labels.score_scale import FEWEST
from dgqa_training.loop.loop import Progress
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import QualityNetwork
from dgqa_training.regressor.consistency import differences
from dgqa_training.regressor.features import FeatureTable, extract, looking
from dgqa_training.representation.held_out import Where
from dgqa_training.representation.network import Objective
from dgqa_training.representation.pack import LIMIT, Photographs, open_pack, write_pack
from dgqa_training.representation.training import CHECKPOINT, RepresentationConfig, train

RESULTS: Final = "results.json"
"""Name of the figures in the run's folder."""

_PHOTOGRAPHS = "photographs"
_FEATURES = "features.npz"
_TOLD = 20  # steps between two lines of progress


def make_bundle(
    checkpoint: checkpoints.Checkpoint,
    table: FeatureTable,
    photographs: Path,
    folder: Path,
    *,
    types: Sequence[int],
    ridge: float,
    exponent: float,
) -> Bundle:
    """A bundle with a trained representation, a head solved for on its features, pooling and a scale.

    Args:
        checkpoint: of a quality network; its head is replaced.
        table: features of a synthetic set under its backbone, see `features_of`.
        photographs: folder of ordinary photographs, at least 20, that the scale is made of.
        folder: of the bundle.
        types: of distortion that the head is fitted to, 1–25.
        ridge: see `quality_head.fit`.
        exponent: see `dgqa_export.graphs.pooling`.

    Raises:
        UsageError: a type is missing, or there are too few photographs.
        OutputError: the folder cannot be written.
    """
    card = card_for(checkpoint, folder.name, licence="Apache-2.0")
    with tempfile.TemporaryDirectory() as temporary:
        plain = Path(temporary, "plain")
        bundle = write_bundle(plain, {QUALITY_GRAPH: graph_of(checkpoint, card)}, card)
        bundle = rebuild(bundle, table, photographs, plain, types, ridge)
        pooled = pool(bundle, photographs, Path(temporary, "pooled"), exponent, card.version)
        graphs = {QUALITY_GRAPH: pooled.graph_bytes(QUALITY_GRAPH)}
    figures = checkpoint.training["representation"]["figures"]
    rows = [{"kind": "held-out contents", "when": when, **found} for when, found in figures.items()]
    return write_bundle(folder, graphs, replace(pooled.card, figures=tuple(rows)))


def features_of(
    checkpoint: checkpoints.Checkpoint, photographs: Photographs, where: Where, seed: int = 123
) -> FeatureTable:
    """Features of all distortions of the pristine photographs, and of views of the authentic ones.

    Args:
        checkpoint: whose backbone looks.
        photographs: of an opened pack.
        where: it is done.
        seed: of crops and distortions.
    """
    network = checkpoint.network()
    assert isinstance(network, QualityNetwork)
    cut, record = checkpoint.preprocessing, {"backbone": checkpoint.backbone, **checkpoint.head.as_record()}
    look = looking(network, where["device"])
    table = extract(look, photographs.pristine[0].parent, cut, record, seed=seed, workers=where["workers"])
    changes = differences(look, photographs.authentic, cut, seed=seed)
    return table.with_differences(changes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 0, or 2 with a sentence about what is wrong."""
    given = _parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "dgqa_export.parts.representation", *(arguments or sys.argv[1:])])
    try:
        if given.step == "pack":
            _pack(given)
        if given.step in ("bundle", "all"):
            _check_authentic(given)  # before the minutes that training takes
        if given.step in ("train", "all"):
            _train(given, command)
        if given.step in ("bundle", "all"):
            _bundle(given)
    except DgqaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _pack(given: argparse.Namespace) -> None:
    sources = {"pristine": given.pristine}
    if given.authentic:
        sources["authentic"] = given.authentic
    facts = write_pack(given.pack, sources, limit=given.limit, seed=given.seed, overwrite=given.overwrite)
    left_out = facts["left_out"]
    print(f"{given.pack}: {given.pack.stat().st_size:,} bytes, {facts['pristine']} pristine photographs and "
          f"{facts['authentic']} authentic ones; {len(left_out)} left out")  # fmt: skip
    for name, reason in left_out.items():
        print(f"  {name}: {reason}")


def _check_authentic(given: argparse.Namespace) -> None:
    """Whether there are enough ordinary photographs for a bundle's scale."""
    found = len(open_pack(given.pack, given.run / _PHOTOGRAPHS).authentic)
    if found < FEWEST:
        raise UsageError(
            f"{given.pack} holds {found} authentic photographs; the scale of a bundle is made of {FEWEST} at "
            "least: pack more with --authentic, or only train"
        )


def _train(given: argparse.Namespace, command: str) -> None:
    photographs = open_pack(given.pack, given.run / _PHOTOGRAPHS)
    objective = Objective(given.order, given.view, given.keep, given.anchor, given.margin)
    recipe = Recipe(epochs=1000, batch=given.batch, lr=given.lr, weight_decay=0.0, flip=False,
                    ema=given.ema, head_factor=1.0, seed=given.seed)  # fmt: skip
    config = RepresentationConfig(
        backbone=given.backbone,
        after=given.after,
        recipe=recipe,
        objective=objective,
        rounds=given.rounds,
        judged=given.judged,
        remember=given.remember,
        seed=given.seed,
    )
    result = train(
        photographs,
        config,
        given.run,
        minutes=given.minutes,
        where=_where(given),
        observe=_tell,
        report=print,
    )
    _write_results(given.run, {"command": command, **result.as_dict()})


def _bundle(given: argparse.Namespace) -> None:
    began = time.monotonic()
    photographs = open_pack(given.pack, given.run / _PHOTOGRAPHS)
    facts = json.loads((given.run / RESULTS).read_text("utf-8"))
    checkpoint = checkpoints.load(given.run / CHECKPOINT)
    checkpoint = replace(checkpoint, training={"command": facts["command"], **checkpoint.training})
    table = features_of(checkpoint, photographs, _where(given), given.seed)
    table.save(given.run / _FEATURES, overwrite=True)
    bundle = make_bundle(
        checkpoint,
        table,
        photographs.authentic[0].parent,
        given.out,
        types=[int(number) for number in given.types.split(",")],
        ridge=given.ridge,
        exponent=given.exponent,
    )
    seconds = round(time.monotonic() - began, 1)
    _write_results(given.run, {**facts, "bundle": {"model": bundle.model_id, "seconds": seconds}})
    print(f"{given.out}: {bundle.model_id}")


def _write_results(run: Path, facts: dict[str, Any]) -> None:
    write_whole(run / RESULTS, json.dumps(facts, indent=1).encode() + b"\n", overwrite=True)


def _where(given: argparse.Namespace) -> Where:
    return {"device": given.device, "workers": given.workers}


def _tell(progress: Progress) -> None:
    if progress.step % _TOLD == 0 or progress.step == progress.steps:
        print(
            f"epoch {progress.epoch + 1}, step {progress.step} of {progress.steps}: "
            f"loss {progress.loss:.4f}, {progress.crops_per_second:.1f} stacks/s",
            flush=True,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    steps = parser.add_subparsers(dest="step", required=True)
    packing = steps.add_parser("pack", help="photographs into one small file")
    training = steps.add_parser("train", help="a representation of what is packed")
    exporting = steps.add_parser("bundle", help="of a trained representation")
    everything = steps.add_parser("all", help="train and bundle")
    for step in (packing, training, exporting, everything):
        step.add_argument("pack", type=Path, help="PACK.tar; to train, a folder laid out like one will do")
        step.add_argument("--seed", type=int, default=123)
    packing.add_argument("--pristine", type=Path, required=True, help="folder of photographs without faults")
    packing.add_argument("--authentic", type=Path, help="folder of ordinary photographs")
    packing.add_argument("--limit", type=int, default=LIMIT, help="bytes that the pack may have")
    packing.add_argument("--overwrite", action="store_true")
    for step in (training, exporting, everything):
        step.add_argument("run", type=Path, help="folder of the run: new, or to be resumed")
        step.add_argument("--device", default="cpu", help="cpu or cuda")
        step.add_argument(
            "--workers", type=int, default=0, help="processes that make crops; 0 makes them here"
        )
    for step in (training, everything):
        _training_options(step)
    for step in (exporting, everything):
        step.add_argument("out", type=Path, help="folder of the bundle, which has its name")
        step.add_argument("--types", default=_built_in_types(), help="that the head is fitted to, 1-25")
        step.add_argument("--ridge", type=float, default=3.0)
        step.add_argument("--exponent", type=float, default=0.8, help="of the pooling")
    return parser


def _built_in_types() -> str:
    """Those of the built-in model."""
    return ",".join(map(str, Bundle.load("dgqa-lite0").card.training["plan"]["types"]))


def _training_options(step: argparse.ArgumentParser) -> None:
    config, objective = RepresentationConfig(), Objective()
    step.add_argument("--minutes", type=float, required=True, help="of training in this call")
    step.add_argument("--backbone", default=config.backbone)
    step.add_argument("--after", default=config.after, help="stage up to which the backbone is frozen")
    step.add_argument("--rounds", type=int, default=config.rounds, help="stacks of a photograph in an epoch")
    step.add_argument("--judged", type=int, default=config.judged, help="kept-back stacks after each epoch")
    step.add_argument("--batch", type=int, default=config.recipe.batch, help="stacks a step")
    step.add_argument("--lr", type=float, default=config.recipe.lr)
    step.add_argument("--ema", type=float, default=config.recipe.ema, help="decay of the averaged weights")
    step.add_argument("--remember", action="store_true", help="keep what frozen blocks make, for a CPU")
    for name in ("order", "view", "keep", "anchor"):
        step.add_argument(
            f"--{name}", type=float, default=getattr(objective, name), help="weight in the loss"
        )
    step.add_argument(
        "--margin", type=float, default=objective.margin, help="of the order, on labels of 0-10"
    )


if __name__ == "__main__":
    sys.exit(main())
