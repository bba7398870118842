"""Measure how well a bundle agrees with people: SRCC, KRCC, PLCC and RMSE with bootstrap intervals.

    python -m benchmarks accuracy LABELS.csv FOLDER --name biq2021_dev [--model dgqa-lite0] [--prefix 4]

LABELS.csv has one row a photograph, with the columns image and mos; the photographs lie in FOLDER. With
--prefix the figures are also given for groups of photographs whose names begin alike. The labels do nothing
but evaluate. The table that the README shows is printed; the figures go to `results/accuracy_NAME.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer
from dgqa_training.datasets import read_table
from dgqa_training.evaluation.of_bundle import group_by_prefix, predict, report

FIGURES = ("srcc", "krcc", "plcc_mapped")


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--prefix", type=int, default=0)
    arguments = parser.parse_args()

    labelled = read_table(arguments.labels, arguments.folder)
    groups = group_by_prefix(labelled.samples, arguments.prefix) if arguments.prefix else None
    with Scorer(arguments.model, device="cpu", precision="fp32") as scorer:
        result = report(predict([scorer], labelled.samples)[0], labelled, groups).as_dict()
    write_result(f"accuracy_{arguments.name}", {"machine": machine("onnxruntime"), **result})
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown, each with its 95 % interval."""
    lines = ["| photographs | n | SRCC | KRCC | PLCC, mapped |", "|---|---|---|---|---|"]
    for name, figures in {"all": result["pooled"], **result["groups"]}.items():
        cells = (figures[figure] for figure in FIGURES)
        shown = " | ".join(f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells)
        lines.append(f"| {name} | {figures['images']} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
