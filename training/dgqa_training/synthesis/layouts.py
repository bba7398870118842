"""How KADID-10k and KADIS-700k lay their files out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dgqa_training.labels.kadid_scores import KadidScores
from dgqa_training.labels.labels import dmos_by_rank
from dgqa_training.synthesis.plan import Reference, SynthesisPlan

Key = tuple[str, int, int]
"""Name of the reference, type, level."""


@dataclass(frozen=True)
class Layout:
    """Where a set's files go.

    Attributes:
        root: the set's folder.
        references: folder of the pristine photographs.
        images: folder of the distorted ones.
        extension: of the distorted ones.
        table: the set's table.
    """

    root: Path
    references: Path
    images: Path
    extension: str
    table: Path

    @classmethod
    def of(cls, plan: SynthesisPlan, root: Path) -> Layout:
        """The layout of a planned set: KADID-10k's, or with one type a photograph KADIS-700k's."""
        if plan.settings.per_image == "all":
            return cls(root, root / "images", root / "images", ".png", root / "dmos.csv")
        return cls(root, root / "ref_imgs", root / "dist_imgs", ".bmp", root / "kadis700k_ref_imgs.csv")

    def reference(self, reference: Reference) -> Path:
        """File of a pristine photograph: I01.png, or in KADIS's layout its own name."""
        return self.references / f"{reference.name}.png"

    def image(self, name: str, type_number: int, level: int) -> Path:
        """File of a distorted image, such as I01_17_03.png."""
        return self.images / f"{name}_{type_number:02}_{level:02}{self.extension}"


def table(plan: SynthesisPlan, layout: Layout, qualities: Mapping[Key, float], scores: KadidScores) -> bytes:
    """The set's table as a CSV file.

    KADID's: `dist_img,ref_img,dmos,var`, sorted as KADID's own. `dmos` is a label on KADID's scale, 1–5,
    higher is better; `var` is the mean of KADID's column for the type and level.

    KADIS's: `ref_im,dist_type_1`.

    Args:
        plan: of the set.
        layout: of the set.
        qualities: full-reference quality of every image, where labels go by it; else not looked at.
        scores: KADID's.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if plan.settings.per_image == "one":
        writer.writerow(["ref_im", "dist_type_1"])
        writer.writerows([layout.reference(r).name, r.types[0]] for r in plan.references)
    else:
        dmos = dict(_dmos(plan, qualities, scores))
        writer.writerow(["dist_img", "ref_img", "dmos", "var"])
        for reference in plan.references:
            for kind in reference.types:
                for level in plan.settings.levels:
                    name = layout.image(reference.name, kind, level).name
                    score, spread = dmos[reference.name, kind, level], scores.spread[kind - 1, level - 1]
                    writer.writerow([name, layout.reference(reference).name, f"{score:.4f}", f"{spread:.4f}"])
    return file.getvalue().encode("utf-8", "surrogateescape")


def _dmos(
    plan: SynthesisPlan, qualities: Mapping[Key, float], scores: KadidScores
) -> Iterator[tuple[Key, float]]:
    names = [reference.name for reference in plan.references]
    for kind in plan.settings.types:
        for level in plan.settings.levels:
            keys = [(name, kind, level) for name in names]
            if plan.settings.labels == "kadid-mean":
                values = np.full(len(names), scores.mean[kind - 1, level - 1])
            else:
                values = dmos_by_rank(np.array([qualities[key] for key in keys]), kind, level, scores)
            yield from zip(keys, values.tolist(), strict=True)
