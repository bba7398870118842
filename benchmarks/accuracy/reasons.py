"""How many photographs have a reason for their score, and the borders that reasons rest on.

    python -m benchmarks reasons BORDERS.jsonl REPORTED.jsonl [REPORTED.jsonl ...]

All are rows of `score --explain`. The borders of `dgqa_infer.outputs.reasons` are percentiles of the
photographs in BORDERS, which must be in none of the others. For each of the others: the share of photographs
with a low score, and of the 24 worst, for which a fault is named, for which a fault or a measured fact is,
and which facts those are. Photographs that do not look like one are left out. The figures go to
`results/reasons.json`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.images.content import NOT_A_PHOTOGRAPH
from dgqa_infer.outputs.html.pictures import WORST
from dgqa_infer.outputs.reader import read_rows
from dgqa_infer.outputs.reasons import LOW_SCORE, NOTHING_STANDS_OUT, SetCounts, measured, reasons

PER_CENTS = {"sharpness": (1, 5, 50), "noise": (50, 95, 99), "clipped": (95,), "brightness": (5, 95)}
Rows = list[Any]


def main() -> int:
    parser = new_parser(__doc__)
    parser.add_argument("borders", type=Path)
    parser.add_argument("reported", type=Path, nargs="+")
    arguments = parser.parse_args()
    basis = photographs(arguments.borders)
    known = {row["path"] for row in basis}
    sets = {file.stem: photographs(file) for file in arguments.reported}
    if any(known & {row["path"] for row in rows} for rows in sets.values()):
        sys.exit("photographs that borders come from are reported on too")
    result = {
        "model": basis[0]["model"],
        "borders": {"photographs": len(basis), "percentiles": percentiles(basis)},
        "reported": {name: figures(rows) for name, rows in sets.items()},
        "machine": machine(),
    }
    write_result("reasons", result)
    print(json.dumps(result, indent=1))
    return 0


def photographs(file: Path) -> Rows:
    rows = [row for _, row in read_rows(str(file)) if "error" not in row]
    return [row for row in rows if NOT_A_PHOTOGRAPH not in row["warnings"]]


def percentiles(rows: Rows) -> dict[str, dict[str, float]]:
    return {
        name: {
            str(share): round(float(np.percentile([row["attributes"][name] for row in rows], share)), 4)
            for share in shares
        }
        for name, shares in PER_CENTS.items()
    }


def figures(rows: Rows) -> dict[str, Any]:
    others = SetCounts()
    for row in rows:
        others.add(measured(row))
    ordered = sorted(rows, key=lambda row: row["score"])
    low = [row for row in ordered if row["score"] < LOW_SCORE]
    parts = {"low": low, "worst": ordered[:WORST]}
    return {"photographs": len(rows)} | {name: shares(part, others) for name, part in parts.items()}


def shares(rows: Sequence[Any], others: SetCounts) -> dict[str, Any]:
    named = [bool(row["distortions"]) for row in rows]
    said = [[each for each in reasons(measured(row), others) if each != NOTHING_STANDS_OUT] for row in rows]
    kinds = Counter(kind(each) for found in said for each in found)
    return {
        "photographs": len(rows),
        "fault_named": round(float(np.mean(named)), 4),
        "fault_or_fact": round(float(np.mean([a or bool(b) for a, b in zip(named, said, strict=True)])), 4),
        "facts": dict(kinds.most_common()),
    }


def kind(phrase: str) -> str:
    return "clipped" if "clipped" in phrase else phrase.partition(":")[0].partition(" than")[0]


if __name__ == "__main__":
    sys.exit(main())
