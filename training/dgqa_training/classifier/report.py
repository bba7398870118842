"""How well a domain classifier does on contents that it never saw: figures, a table and pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_training.classifier import faults
from dgqa_training.classifier.examples import Example, examples, logits_of
from dgqa_training.classifier.figures import confusion_picture, learning_curve
from dgqa_training.classifier.held_out import (
    HeldOut,
    classifier_of,
    held_out_contents,
    judge,
)
from dgqa_training.classifier.temperature import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from dgqa_training.loop.crop_sources import PRISTINE
from dgqa_training.networks import checkpoints
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.synthesis.nuisances import IDENTITIES, Nuisances, view

HIGH_LEVELS = (3, 4, 5)
SAVED_AS = {"lossless": Nuisances()} | {
    f"jpeg-{quality}": Nuisances(encoded="jpeg", quality=quality) for quality in (95, 85, 75)
}
"""Ways to save a pristine photograph that distort nothing worth a word."""

_RESAMPLES = 2000


def write(
    run: Path,
    source: Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Report on a finished training: judge its held-out contents, and write all there is to say.

    Writes report.json, confusion.csv, confusion.png, learning.png and held_out.npz (logits), in RUN/report.
    Of five contents and more, thresholds and severities of explanations are chosen too (`faults`). All this
    also goes into the training record of `RUN/domains.safetensors`, and so into the card of a bundle.

    Args:
        run: folder with `domains.safetensors` and `log.jsonl`.
        source: folder with the held-out photographs.
        device: "cpu" or "cuda".
        workers: processes that make images; 0 makes them here.
        advance: called with the number of further images done.

    Returns:
        What report.json holds.

    Raises:
        ModelError: there is no checkpoint of a domain classifier.
        UsageError: its held-out photographs are not there.
    """
    file = run / "domains.safetensors"
    checkpoint = checkpoints.load(file)
    contents = held_out_contents(checkpoint, source)
    classify, preprocessing = classifier_of(checkpoint, device), checkpoint.preprocessing
    held_out = judge(classify, preprocessing, contents, workers=workers, advance=advance)
    found = {"backbone": checkpoint.backbone, "preprocessing": checkpoint.preprocessing.id} | figures(
        held_out
    )
    found["top1_pristine_saved_as"] = {
        name: _share(seen.logits.argmax(1) == PRISTINE)
        for name, seen in pristine_saved_as(classify, preprocessing, contents).items()
    }
    named: dict[str, Any] = {}
    if len(contents) >= faults.FEWEST_CONTENTS:
        named, found["explanations"] = _explanations(
            checkpoint, contents, found["calibration"]["temperature"], device, advance
        )
    folder = run / "report"
    folder.mkdir(exist_ok=True)
    held_out.save(folder / "held_out.npz")
    matrix = confusion(held_out)
    _write_text(folder / "report.json", json.dumps(found, indent=2) + "\n")
    _write_text(folder / "confusion.csv", as_csv(matrix))
    confusion_picture(matrix).savefig(folder / "confusion.png")
    learning_curve(run / "log.jsonl").savefig(folder / "learning.png")
    record = {name: value for name, value in found.items() if name not in ("by_type", "identities")}
    training = {**checkpoint.training, "report": record, "faults": named}
    checkpoints.save(file, replace(checkpoint, training=training))
    return found


def pristine_saved_as(
    classify: Callable[[Pixels], NDArray[np.floating]], preprocessing: Preprocessing, contents: Sequence[Path]
) -> dict[str, HeldOut]:
    """What a classifier says of undistorted contents, saved without loss and as JPEGs of some qualities.

    Args:
        classify: uint8 [n, crop, crop, 3] → logits [n, 26].
        preprocessing: how images become crops.
        contents: photographs that it was not trained on.

    Returns:
        For each of `SAVED_AS`.

    Raises:
        ImageError: a photograph cannot be read.
    """
    found = {}
    for name, nuisances in SAVED_AS.items():
        saved = (
            Example(place, PRISTINE, 0, view(shrink(decode(path).pixels, preprocessing), nuisances))
            for place, path in enumerate(contents)
        )
        found[name] = logits_of(saved, preprocessing, classify)
    return found


def _explanations(
    checkpoint: Checkpoint,
    contents: Sequence[Path],
    temperature: float,
    device: str,
    advance: Callable[[int], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Thresholds and severities as the card has them, and how they were chosen."""
    preprocessing, classify = checkpoint.preprocessing, classifier_of(checkpoint, device)
    seen = logits_of(examples(contents, preprocessing), preprocessing, classify, advance=advance)
    named, record = faults.choose(seen, temperature)
    return {name: fault.as_card() for name, fault in named.items()}, record


def figures(held_out: HeldOut) -> dict[str, Any]:
    """All figures of held-out images, JSON-able.

    Top-1 is the share of distorted images whose type is named; those that a type and level leave as they are
    (`IDENTITIES`) count in none of the figures but their own, nor do pristine ones.
    """
    right = held_out.logits.argmax(1) == held_out.classes
    distorted = (held_out.classes != PRISTINE) & ~held_out.identities
    high = distorted & np.isin(held_out.levels, HIGH_LEVELS)
    levels = sorted({*held_out.levels[distorted].tolist()})
    return {
        "contents": len(np.unique(held_out.contents)),
        "images": len(right),
        "top1": _share(right[distorted]),
        "top1_interval": _interval(right[distorted], held_out.contents[distorted]),
        "top1_levels_3_5": _share(right[high]),
        "top1_levels_3_5_interval": _interval(right[high], held_out.contents[high]),
        "top1_by_level": {str(k): _share(right[distorted & (held_out.levels == k)]) for k in levels},
        "top1_pristine": _share(right[held_out.classes == PRISTINE]),
        "by_type": {
            str(kind): {
                "name": CLASSES[kind],
                "top1": _share(right[distorted & (held_out.classes == kind)]),
                "top1_levels_3_5": _share(right[high & (held_out.classes == kind)]),
            }
            for kind in sorted({*held_out.classes[distorted].tolist()})
        },
        "identities": {
            f"{kind}-{level}": _identity(held_out, kind, level) for kind, level in sorted(IDENTITIES)
        },
        "calibration": calibration(held_out),
    }


def calibration(held_out: HeldOut) -> dict[str, Any]:
    """The temperature fitted on one half of the contents, and what it changes on the other; JSON-able.

    Images that a distortion left as they are stay out: their label says what the image does not show. With a
    single content nothing is left to measure on, and the errors are missing.
    """
    shown = held_out.where(~held_out.identities)
    fitted, other = (shown.where(shown.contents % 2 == half) for half in (0, 1))
    temperature = fit_temperature(fitted.logits, fitted.classes)
    found: dict[str, Any] = {
        "temperature": round(temperature, 5),
        "images_fitted_on": len(fitted.classes),
        "images_measured_on": len(other.classes),
    }
    if len(other.classes):
        measures = {
            "expected_calibration_error": expected_calibration_error,
            "negative_log_likelihood": negative_log_likelihood,
        }
        for name, measure in measures.items():
            found[f"{name}_before"] = round(measure(other.logits, other.classes), 5)
            found[f"{name}_after"] = round(measure(other.logits, other.classes, temperature), 5)
    return found


def confusion(held_out: HeldOut) -> NDArray[np.int64]:
    """Images by true class (rows) and likeliest class (columns), int [26, 26]; identities are left out."""
    shown = held_out.where(~held_out.identities)
    matrix = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(matrix, (shown.classes, shown.logits.argmax(1)), 1)
    return matrix


def as_csv(matrix: NDArray[np.int64]) -> str:
    """A confusion matrix as CSV: a line a true class, a column a class that was said."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true", *CLASSES])
    for name, row in zip(CLASSES, matrix.tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()


def _identity(held_out: HeldOut, kind: int, level: int) -> dict[str, Any]:
    """How often an image that its type left as it is counts as pristine, and how often as its type."""
    said = held_out.logits.argmax(1)[(held_out.classes == kind) & (held_out.levels == level)]
    return {"images": len(said), "pristine": _share(said == PRISTINE), "own_type": _share(said == kind)}


def _share(right: NDArray[np.bool_]) -> float | None:
    return round(float(right.mean()), 5) if len(right) else None


def _interval(right: NDArray[np.bool_], contents: NDArray[np.int64]) -> list[float]:
    """The 95 % interval of a share. Contents are resampled: images of one content are not independent."""
    _, places = np.unique(contents, return_inverse=True)
    hits, images = np.bincount(places, right), np.bincount(places)
    drawn = np.random.default_rng(0).integers(len(images), size=(_RESAMPLES, len(images)))
    shares = hits[drawn].sum(1) / images[drawn].sum(1)
    return [round(float(end), 5) for end in np.quantile(shares, (0.025, 0.975))]


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
