"""A synthetic set on disk, in KADID-10k's or KADIS-700k's layout.

Each image is written under another name and then renamed, so whatever bears an image's name is whole. What
is there already is not made again: after an interruption or a full disk the same call goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.images.decode import decode
from dgqa_training.distortions import ByteImage
from dgqa_training.labels.full_reference import quality
from dgqa_training.labels.kadid_scores import KadidScores, built_in
from dgqa_training.synthesis._files import is_part, make_folders, write_bytes, write_image
from dgqa_training.synthesis._processes import Run
from dgqa_training.synthesis.contact_sheet import contact_sheet
from dgqa_training.synthesis.image import synthesize
from dgqa_training.synthesis.layouts import Key, Layout, table
from dgqa_training.synthesis.plan import Reference, Settings, SynthesisPlan

MANIFEST = "manifest.json"
SHEETS = "contact_sheets"


@dataclass(frozen=True)
class Written:
    """What a call did.

    Attributes:
        images: distorted images in the set.
        made: how many of them this call made; the others were there.
    """

    images: int
    made: int


def write_set(
    plan: SynthesisPlan,
    out: Path,
    run: Run,
    *,
    scores: KadidScores | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write a set, or the rest of it.

    Args:
        plan: what it consists of.
        out: its folder; new, empty, or begun by a call with the same plan.
        run: does work for many items, perhaps in other processes; the set does not depend on it.
        scores: KADID's, for labels; those that travel with the package by default.
        advance: called with the number of further images done.

    Returns:
        What was done.

    Raises:
        UsageError: the folder holds something else, or a set with other settings.
        OutputError: it cannot be written, for one because the disk is full; the same call resumes it.
    """
    scores = scores or built_in()
    layout = Layout.of(plan, out)
    _claim(out, plan, scores)
    make_folders(layout.root, layout.references, layout.images)
    made, qualities = 0, dict[Key, float]()
    for batch in run(partial(_make, settings=plan.settings, layout=layout), _rows(plan)):
        made += batch.made
        qualities.update(batch.qualities)
        advance(len(plan.settings.levels))
    write_bytes(layout.table, table(plan, layout, qualities, scores))
    _write_manifest(out, {**_manifest(plan, scores), "complete": True})
    return Written(plan.image_count, made)


def write_sheets(
    plan: SynthesisPlan, out: Path, run: Run, advance: Callable[[int], None] = lambda _: None
) -> None:
    """Write the contact sheet of every content of a set that `write_set` has written.

    Args:
        plan: of the set.
        out: its folder; the sheets go to `contact_sheets` in it, one PNG a content.
        run: does work for many items.
        advance: called with the number of further sheets done.

    Raises:
        OutputError: one cannot be written.
    """
    make_folders(out / SHEETS)
    for _ in run(partial(_sheet, settings=plan.settings, layout=Layout.of(plan, out)), plan.references):
        advance(1)


@dataclass(frozen=True)
class _Batch:
    made: int
    qualities: dict[Key, float]


def _rows(plan: SynthesisPlan) -> Iterator[tuple[Reference, int]]:
    """A content and a type: so much is done at a time, and lost when a run is broken off."""
    for reference in plan.references:
        for kind in reference.types:
            yield reference, kind


def _make(row: tuple[Reference, int], settings: Settings, layout: Layout) -> _Batch:
    reference, kind = row
    measured = settings.per_image == "all" and settings.labels == "kadid-quantile"
    made, qualities = 0, dict[Key, float]()
    if kind == reference.types[0] and not (file := layout.reference(reference)).exists():
        write_image(file, reference.pixels(settings.short_side))
    for level in settings.levels:
        file = layout.image(reference.name, kind, level)
        distorted: ByteImage | None = None
        if not file.exists():
            pixels = reference.pixels(settings.short_side)
            distorted = synthesize(pixels, reference.path.name, kind, level, settings.seed)
            write_image(file, distorted)
            made += 1
        if measured:
            distorted = decode(file).pixels if distorted is None else distorted
            qualities[reference.name, kind, level] = quality(reference.pixels(settings.short_side), distorted)
    return _Batch(made, qualities)


def _sheet(reference: Reference, settings: Settings, layout: Layout) -> None:
    file = layout.root / SHEETS / f"{reference.name}.png"
    if file.exists():
        return
    sheet = contact_sheet(
        reference.path.name,
        reference.pixels(settings.short_side),
        reference.types,
        settings.levels,
        lambda kind, level: decode(layout.image(reference.name, kind, level)).pixels,
    )
    write_image(file, np.asarray(sheet))


def _manifest(plan: SynthesisPlan, scores: KadidScores) -> dict[str, Any]:
    # Labels made from another table of scores are another set.
    return {**plan.manifest(), "scores": {"mean": scores.mean.round(4).tolist()}}


def _claim(out: Path, plan: SynthesisPlan, scores: KadidScores) -> None:
    """Make sure that the folder is ours to write to, and leave word of what is being written."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file: name a folder for the set")
    file = out / MANIFEST
    wanted = json.loads(json.dumps(_manifest(plan, scores)))
    try:
        found = json.loads(file.read_text("utf-8")) if file.exists() else None
        occupied = found is None and out.exists() and any(not is_part(entry) for entry in out.iterdir())
    except (OSError, ValueError) as error:
        raise OutputError(f"{file} cannot be read: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise OutputError(f"{file} cannot be read: it is not a set's manifest")
    if occupied:
        raise UsageError(f"{out} is not empty and has no {MANIFEST}: a set is written to a folder of its own")
    if found is not None:
        keys = {*found, *wanted} - {"complete", "skipped"}
        different = sorted(key for key in keys if found.get(key) != wanted.get(key))
        if different:
            raise UsageError(f"{out} holds a set made otherwise ({_differences(found, wanted, different)})")
    else:
        make_folders(out)
        _write_manifest(out, {**wanted, "complete": False})


def _differences(found: dict[str, Any], wanted: dict[str, Any], keys: list[str]) -> str:
    """In a few words, how two manifests differ."""
    said = []
    for key in keys:
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict) and key in ("settings", "versions"):
            said += [f"{k} {old.get(k)}, now {new.get(k)}" for k in new if old.get(k) != new.get(k)]
        else:
            said.append(f"other {key}")
    return "; ".join(said)


def _write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    write_bytes(out / MANIFEST, json.dumps(manifest, indent=1).encode())
