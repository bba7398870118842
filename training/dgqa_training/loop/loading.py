"""Batches from worker processes, and our own errors as they were raised there.

PyTorch raises what a worker raised anew from a text: a traceback becomes the message, and an error with more
than a message becomes another one. So errors that are for the user come home as data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from dgqa_infer.errors import DgqaError


def batches(dataset: Dataset[Any], batch: int, workers: int, **options: Any) -> Iterator[Any]:
    """A dataset's items in batches, in order.

    Args:
        dataset: of tensors, numbers or tuples of them.
        batch: items in each; the last may have fewer.
        workers: processes that make items; 0 makes them here.
        **options: of PyTorch's `DataLoader`.

    Yields:
        What PyTorch's `default_collate` makes of the items.

    Raises:
        DgqaError: what an item raised; the first of its batch.
    """
    loader = DataLoader(
        _Outcomes(dataset), batch_size=batch, num_workers=workers, collate_fn=_collate, **options
    )
    for found in loader:
        if isinstance(found, DgqaError):
            raise found
        yield found


class _Outcomes(Dataset[Any]):
    """Each item, or the error that it raised."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        try:
            return self._dataset[index]
        except DgqaError as error:
            return error


def _collate(items: list[Any]) -> Any:
    return next((item for item in items if isinstance(item, DgqaError)), None) or default_collate(items)
