"""Decoding and inference in actors of their own, so that cores of any node can feed a GPU.

A photograph goes between them as its crops, uint8 [grid, crop, crop, 3]: 0.75 MB with the built-in model,
whatever its size. Ray Data holds decoding back when the object store fills.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dgqa_infer.errors import UsageError
from dgqa_infer.images.attributes import Attributes
from dgqa_infer.pipeline.crops import CropsPredictor, PhotoCrops
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Outcome, Photo
from dgqa_infer.ray import columns
from dgqa_infer.ray.resources import Resources, share_out
from dgqa_infer.ray.rows import inputs, pool
from dgqa_infer.ray.settings import Settings
from dgqa_infer.results import Failure
from dgqa_infer.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow
    from ray import ObjectRef
    from ray.data import Dataset

# What goes between the stages, beside the dataset's own columns.
_CROPS, _SEEN = "_dgqa_crops", "_dgqa_seen"
# Crops of so many photographs are one block: 24 MB with the built-in model.
_PHOTOGRAPHS_A_BLOCK = 32


def in_two_stages(
    dataset: Dataset,
    settings: Settings,
    resources: Resources,
    nodes: Sequence[Mapping[str, float]],
    *,
    column: str,
    prefix: str,
) -> Dataset:
    """What `score_dataset` gives, with decoding in actors without a GPU.

    Args:
        dataset: with one photograph a row.
        settings: of the actors that infer.
        resources: of the actors that infer; on a GPU they need one core each.
        nodes: resources of all nodes.
        column: that holds the photographs.
        prefix: of the new columns.
    """
    import ray

    decoding, inferring = divided(resources, nodes)
    shared = [ray.put(settings.on(each.cpus, each.a_node)) for each in (decoding, inferring)]
    decoded = dataset.map_batches(
        Decoder,
        fn_constructor_args=(shared[0], column, prefix),
        batch_size=_PHOTOGRAPHS_A_BLOCK,
        batch_format="pyarrow",
        num_cpus=decoding.cpus,
        compute=pool(decoding.actors),
    )
    return decoded.map_batches(
        Inferrer,
        fn_constructor_args=(shared[1], prefix),
        batch_size=_PHOTOGRAPHS_A_BLOCK,
        batch_format="pyarrow",
        num_cpus=inferring.cpus,
        num_gpus=inferring.gpus,
        compute=pool(inferring.actors),
    )


def divided(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> tuple[Resources, Resources]:
    """What the actors of each stage take.

    Args:
        resources: of actors that would do both.
        nodes: resources of all nodes.

    Returns:
        For decoding and for inference. With GPUs an actor that infers takes one core, and all other cores
        decode; without, half of the cores do.

    Raises:
        UsageError: there are too few cores for two stages.
    """
    if resources.gpus:
        inferring = replace(resources, cpus=1)
        left = [{"CPU": node.get("CPU", 0) - int(node.get("GPU", 0) / resources.gpus)} for node in nodes]
        return share_out(left, device="cpu"), inferring
    if resources.actors > 1:
        half = resources.actors // 2
        return replace(resources, actors=resources.actors - half), replace(resources, actors=half)
    if resources.cpus < 2:
        raise UsageError("separate decoding needs two cores at least: one decodes, one infers")
    half = resources.cpus // 2
    return replace(resources, cpus=resources.cpus - half), replace(resources, cpus=half)


class Decoder:
    """An actor of the first stage."""

    def __init__(self, settings: ObjectRef[Settings], column: str, prefix: str) -> None:
        """Make ready to decode.

        Args:
            settings: the settings of every actor.
            column: that holds the photographs.
            prefix: of the columns that will be new.
        """
        import ray

        self._column, self._prefix = column, prefix
        told = ray.get(settings)
        with told.bundle() as bundle:
            scored = told.options.bundle_for(bundle)
        predictor = CropsPredictor(
            scored.card.preprocessing,
            scored.model_id,
            batch_size=told.options.batch_size,
            limits=told.options.limits,
            strict=told.options.strict,
            measure=bool(told.options.explain),
        )
        self._stack = ExitStack()
        self._pipeline = self._stack.enter_context(
            Pipeline(
                predictor,
                workers=told.cpus,
                limits=told.options.worker_limits,
                addresses=told.addresses,
            )
        )

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """The table with crops, or null where a photograph failed, and what is known of each as JSON."""
        import pyarrow

        columns.check(table.column_names, self._column, self._prefix)
        crops: list[bytes | None] = []
        seen: list[str] = []
        for outcome in self._pipeline.run(inputs(table[self._column])):
            row, pixels = _known(outcome)
            crops.append(pixels)
            seen.append(json.dumps(row))
        return table.append_column(_CROPS, pyarrow.array(crops, pyarrow.large_binary())).append_column(
            _SEEN, pyarrow.array(seen, pyarrow.string())
        )


def _known(outcome: Outcome[PhotoCrops]) -> tuple[dict[str, Any], bytes | None]:
    """What a row can say before the model has run, and the crops for it."""
    told = {"size": outcome.size, "mtime": outcome.mtime}
    if isinstance(outcome.result, Failure):
        return {**outcome.result.row(), **told}, None
    return {**asdict(outcome.result.photo), **told}, outcome.result.crops.tobytes()


class Inferrer:
    """An actor of the second stage."""

    def __init__(self, settings: ObjectRef[Settings], prefix: str) -> None:
        """Load the model.

        Args:
            settings: the settings of every actor.
            prefix: of the new columns.
        """
        import ray

        self._prefix = prefix
        # The pipeline that comes with it starts no process while it has no work.
        self._stack = ExitStack()
        self._scorer, _ = self._stack.enter_context(ray.get(settings).open())

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """The table with our columns instead of the crops."""
        rows = [json.loads(text) for text in table[_SEEN].to_pylist()]
        waiting = [(row, data) for row, data in zip(rows, table[_CROPS], strict=True) if data.is_valid]
        size = self._scorer.batch_size
        for start in range(0, len(waiting), size):
            predict(self._scorer, waiting[start : start + size])
        left = table.drop_columns([_CROPS, _SEEN])
        return columns.append(left, rows, self._prefix, self._scorer.probability_classes)


def _photo(row: Mapping[str, Any]) -> Photo:
    """What `_known` wrote."""
    measured = row["attributes"]
    return Photo(
        row["index"],
        row["path"],
        row["width"],
        row["height"],
        tuple(row["warnings"]),
        None if measured is None else Attributes(**measured),
    )


def predict(scorer: Scorer, batch: Sequence[tuple[dict[str, Any], Any]]) -> None:
    """Complete the rows of some photographs.

    Args:
        scorer: that predicts.
        batch: of each photograph its row, which is changed, and its crops as an Arrow scalar.
    """
    preprocessing = scorer.preprocessing
    shape = (preprocessing.grid, preprocessing.crop, preprocessing.crop, 3)
    stack = np.concatenate([np.frombuffer(data.as_buffer(), np.uint8).reshape(shape) for _, data in batch])
    photos = [_photo(row) for row, _ in batch]
    for (row, _), result in zip(batch, scorer.predict(stack, photos), strict=True):
        told = {"size": row["size"], "mtime": row["mtime"]}
        row.clear()
        row.update(result.row() | told)
