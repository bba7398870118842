"""Public data sets in their official layouts: one module a set, all read into the same `Sample`.

A set is a module with `FACTS` and `read(folder)`; to add one, write that module and list it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import (
    bid,
    biq2021,
    csiq,
    flive,
    kadid10k,
    kadis700k,
    koniq10k,
    live,
    livec,
    pipal,
    spaq,
    tid2013,
)
from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, LabelledSet, Sample
from dgqa_training.datasets.table import read_table

__all__ = ["DATASETS", "Dataset", "Facts", "LabelledSet", "Sample", "load", "read_table"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set that can be read.

    Attributes:
        facts: of the set.
        read: its adapter.
    """

    facts: Facts
    read: Callable[[SetFolder], Iterator[Sample]]


_MODULES = (kadid10k, kadis700k, livec, koniq10k, bid, pipal, live, csiq, tid2013, spaq, biq2021, flive)

DATASETS: Final[Mapping[str, Dataset]] = MappingProxyType(
    {module.FACTS.name: Dataset(module.FACTS, module.read) for module in _MODULES}
    | {facts.name: Dataset(facts, read) for facts, read in pipal.SUBSETS.items()}
)
"""All sets by name."""


def load(name: str, root: str | PathLike[str]) -> LabelledSet:
    """Read a public set.

    Args:
        name: one of `DATASETS`, such as "koniq10k" or "pipal-3".
        root: the set's folder, in its official layout.

    Returns:
        The images that the set's protocol uses, each with its score.

    Raises:
        UsageError: no such set; the folder is not its root (says which file is missing and where the set is
            obtained); or a row of its table is bad.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no data set {name!r}: there are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    folder = SetFolder(Path(root), dataset.facts)
    return LabelledSet(dataset.facts, folder.checked(dataset.read(folder)))
