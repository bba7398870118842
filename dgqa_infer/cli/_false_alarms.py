"""A classifier that names distortions on too many undistorted photographs is warned of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgqa_infer.cli._output import Output


def warn_of_false_alarms(report: Mapping[str, Any], output: Output) -> None:
    """Say so on stderr where no thresholds keep a classifier's false alarms within the limit.

    Args:
        report: of a classifier's training; one without thresholds, or from before the limit was recorded, is
            passed over.
        output: warns people.
    """
    thresholds = report.get("explanations", {})
    if thresholds.get("within_limit", True):
        return
    from dgqa_training.classifier.faults import FALSE_ALARMS

    output.warn(
        "explanations by this classifier name distortions on "
        f"{thresholds['false_alarms_on_contents_left_out']:.1%} of undistorted images, more than "
        f"{FALSE_ALARMS:.0%}: train it on more photographs"
    )
