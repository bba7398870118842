"""What the speed of scoring is held to, and whether one run of `peers.py` met it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OURS = "dgqa-infer"
DECODING = "Pillow's decoding and shrinking alone"
PLAIN = "the same network, plain"
RESNET = "ResNet-50, 5 crops"
MEMORY_MB = 500

TIMES_AS_FAST = (
    ("large", DECODING, 3.5),
    ("large", PLAIN, 10.0),
    ("large", RESNET, 15.0),
    ("rated", PLAIN, 8.0),
)
"""Set of photographs, the other way, and how many times as fast as it scoring without an option shall be."""


def targets(ways: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each target that this run can judge, with what was reached.

    Args:
        ways: the result's `ways`: name → set → figures.
    """
    found = []
    for photographs, other, wanted in TIMES_AS_FAST:
        if OURS in ways and other in ways:
            speeds = [ways[name][photographs]["photographs_per_second"] for name in (OURS, other)]
            reached = round(speeds[0] / speeds[1], 2)
            words = f"{photographs}: times as fast as {other}"
            found.append({"target": words, "wanted": wanted, "reached": reached, "met": reached >= wanted})
    for photographs in ("large", "rated") if OURS in ways else ():
        peak = ways[OURS][photographs]["peak_mb"]
        words = f"{photographs}: MB of all processes, at most"
        found.append({"target": words, "wanted": MEMORY_MB, "reached": peak, "met": peak <= MEMORY_MB})
    return found


def table(judged: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = ["| target | wanted | reached | |", "|---|---|---|---|"]
    for each in judged:
        verdict = "met" if each["met"] else "missed"
        lines.append(f"| {each['target']} | {each['wanted']:g} | {each['reached']:g} | {verdict} |")
    return "\n".join(lines)
