"""Pictures of a classifier's training: the confusion matrix and the learning curve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES


def confusion_picture(matrix: NDArray[np.int64]) -> Figure:
    """Draw a confusion matrix as shares of the true class; those from 5 % on also in figures.

    Args:
        matrix: images by true class (rows) and class that was said (columns), int [26, 26].
    """
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure = _figure(13, 12)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [f"{number} {name}" for number, name in enumerate(CLASSES)]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    for row, column in np.argwhere(shares >= 0.05):
        colour = "white" if shares[row, column] > 0.6 else "black"
        words = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, words, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def learning_curve(log: Path) -> Figure:
    """Draw the training loss by epoch.

    Args:
        log: `log.jsonl` of a run; where there is none, the picture is empty.
    """
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    epochs = [json.loads(line) for line in lines]
    figure = _figure(7, 4.5)
    axes = figure.add_subplot()
    axes.plot([line["epoch"] + 1 for line in epochs], [line["loss"] for line in epochs], marker="o")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean training loss (cross-entropy)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return figure


def _figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display and is known to no global state."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
