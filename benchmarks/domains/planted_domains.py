"""Is a type that was planted in a folder the one that is selected first? For each of the 25 types.

    python -m benchmarks planted_domains LOGITS.npz

The folders are the contents that the classifier's training kept back, at levels 3 to 5 of one type each.
Their logits are what `classifier.py --logits` kept, or `dgqa-infer train domains` in RUN/report/held_out.npz.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import RESULTS, machine
from dgqa_infer.cli._errors import report
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import DgqaError
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.classifier.report import HIGH_LEVELS
from dgqa_training.selection.votes import select

NEEDED = 20
"""Of 25 types."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("logits", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS / "planted_domains.json")
    given = parser.parse_args(arguments)
    try:
        held_out = HeldOut.load(given.logits)
    except DgqaError as error:
        return report(error)
    rows = [planted(held_out, kind) for kind in range(1, len(CLASSES))]
    result = {
        "contents": len(np.unique(held_out.contents)),
        "levels": list(HIGH_LEVELS),
        "first": sum(row["first"] for row in rows),
        "first_alone": sum(row["first_alone"] for row in rows),
        "selected": sum(row["selected"] for row in rows),
        "types": rows,
        "machine": machine("torch"),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    Output(json=False).table(rows, title=f"{result['first']} of 25 planted types have the highest score")
    return 0 if result["first"] >= NEEDED else 1


def planted(held_out: HeldOut, kind: int) -> dict[str, Any]:
    """What the folder of one type selects."""
    here = (held_out.classes == kind) & np.isin(held_out.levels, HIGH_LEVELS)
    selection = select(held_out.logits[here])
    votes = np.array(selection.votes[1:])
    highest = votes[kind - 1] == votes.max()
    return {
        "type": kind,
        "name": CLASSES[kind],
        "photos": selection.photos,
        "score": round(selection.scores[kind], 4),
        "first": bool(highest),
        "first_alone": bool(highest and (votes == votes.max()).sum() == 1),
        "selected": kind in selection.selected,
        "highest": [int(each) + 1 for each in np.flatnonzero(votes == votes.max())],
    }


if __name__ == "__main__":
    sys.exit(main())
