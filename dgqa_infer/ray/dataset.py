"""Scores for a Ray Dataset that somebody already has: lazy, streaming, one row each as before."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import UsageError
from dgqa_infer.options import ScoringKeywords, ScoringOptions
from dgqa_infer.ray import columns
from dgqa_infer.ray.resources import share_out
from dgqa_infer.ray.rows import RowScorer, pool
from dgqa_infer.ray.settings import Settings
from dgqa_infer.scorer import DEFAULT_MODEL

if TYPE_CHECKING:
    from ray.data import Dataset

NAMES_AT_ONCE = 128
"""Photographs that an actor takes at a time where they are named."""
BYTES_AT_ONCE = 32
"""Where they are not, or nobody knows: so many encoded photographs must have room in the object store."""


def score_dataset(
    dataset: Dataset,
    *,
    model: str | os.PathLike[str] | Bundle = DEFAULT_MODEL,
    column: str = "path",
    prefix: str = "",
    cpus: int | None = None,
    gpus: float | None = None,
    actors: int | None = None,
    separate_decoding: bool = False,
    **options: Unpack[ScoringKeywords],
) -> Dataset:
    """Add scores to a dataset with one photograph a row.

    Lazy and streaming. Every row of the dataset is one row of the result: what cannot be scored has an error.

    Args:
        dataset: its other columns, whatever they hold, stay as they are.
        model: name of a built-in bundle, a bundle's folder, or a bundle. Its files go to the nodes.
        column: holds the photographs: text for paths that every node sees and for addresses such as
            "s3://bucket/a.jpg", or bytes for encoded files.
        prefix: before the name of each new column.
        cpus: cores of an actor; None for up to eight, as the cluster's nodes divide best.
        gpus: GPUs of an actor, such as 0.5; None for one where the cluster has GPUs, else none.
        actors: how many; None for as many as there is room for.
        separate_decoding: decode in actors without a GPU, on any node, where the cores beside a GPU cannot
            feed it: see `dgqa_infer.ray.stages`.
        **options: fields of `dgqa_infer.options.ScoringOptions` by name, such as `explain=True`.

    Returns:
        The dataset with the columns that `dgqa_infer.ray.columns` describes.

    Raises:
        UsageError: Ray is not installed, no node has that much, or the columns do not fit.
        ModelError: there is no such bundle, or it is damaged.
    """
    scoring = _scoring(options, separate_decoding)
    import_ray()
    import ray

    from dgqa_infer.ray.stages import in_two_stages

    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    at_once = _at_once(dataset, column, prefix)
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    resources = share_out(alive, device=scoring.device, cpus=cpus, gpus=gpus)
    resources = replace(resources, actors=actors or resources.actors)
    settings = Settings.of(bundle, scoring, gpus=resources.gpus > 0)
    if separate_decoding:
        return in_two_stages(dataset, settings, resources, alive, column=column, prefix=prefix)
    return dataset.map_batches(
        RowScorer,
        fn_constructor_args=(ray.put(settings.on(resources.cpus, resources.a_node)), column, prefix),
        batch_size=at_once,
        batch_format="pyarrow",
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        compute=pool(resources.actors),
    )


def _scoring(options: ScoringKeywords, separate_decoding: bool) -> ScoringOptions:
    scoring = ScoringOptions(**options)
    if scoring.decoding == "gpu" and separate_decoding:
        raise UsageError("actors that only decode have no GPU: separate_decoding needs decoding on the CPU")
    return scoring


def _at_once(dataset: Dataset, column: str, prefix: str) -> int:
    """Photographs that an actor takes at a time.

    Raises:
        UsageError: the columns do not fit, as far as they are known.
    """
    if (known := dataset.schema(fetch_if_missing=False)) is None:
        return BYTES_AT_ONCE
    columns.check(known.names, column, prefix)
    named = "string" in str(known.types[known.names.index(column)])
    return NAMES_AT_ONCE if named else BYTES_AT_ONCE


def import_ray() -> None:
    """Make sure that there is a Ray.

    Raises:
        UsageError: it is not installed; names the command that installs it.
    """
    try:
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"a cluster needs the package {error.name}, which is not installed: pip install 'dgqa-infer[ray]'"
        ) from error
