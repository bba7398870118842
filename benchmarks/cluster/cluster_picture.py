"""The picture of `cluster.py`: how long a cluster takes, and what a photograph costs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "cluster.png"
_COLOURS = {"decode": "#4878a8", "crops": "#7aa6c2", "infer": "#d1605e", "parent": "#8c8c8c"}
_COLOURS |= {"read": "#6a9f58", "write": "#c0c0c0"}


def draw(result: dict[str, Any]) -> None:
    """Draw it, from what `cluster.py` has written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (hours, costs) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    runs = result["simulated"]["runs"]
    for gpus, style in ((0, "-o"), (1, "--s")):
        for shade, photographs in enumerate(sorted({run["photographs"] for run in runs})):
            line = [run for run in runs if run["photographs"] == photographs and run["gpus_a_node"] == gpus]
            hours.plot(
                [run["nodes"] for run in line],
                [run["hours"] for run in line],
                style,
                color=plt.get_cmap("viridis")(shade / 3),
                markersize=4,
                label=f"{photographs:,} photographs, {'with' if gpus else 'no'} GPU",
            )
    hours.set(xscale="log", yscale="log", xlabel="nodes of 16 cores", ylabel="hours")
    hours.set_title("simulated from parts measured on one core", fontsize=10)
    for value, name in ((1, "an hour"), (24, "a day"), (24 * 7, "a week")):
        hours.axhline(value, color="#cccccc", linewidth=0.8, zorder=0)
        hours.annotate(name, (1, value), fontsize=7, color="#888888", va="bottom")
    hours.legend(fontsize=7)
    hours.grid(alpha=0.2)

    for place, seconds in enumerate(result["simulated"]["core_seconds_of_a_photograph"].values()):
        bottom = 0.0
        for part, value in seconds.items():
            costs.bar(
                place,
                1000 * value,
                bottom=bottom,
                color=_COLOURS[part],
                width=0.6,
                label=part if place == 0 else None,
            )
            bottom += 1000 * value
    costs.set_xticks([0, 1], ["no GPU", "with a GPU"])
    costs.set(ylabel="milliseconds of one core", title="what a photograph costs")
    costs.title.set_fontsize(10)
    costs.legend(fontsize=7)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)
