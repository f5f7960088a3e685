"""The evaluation protocol: its version and its metrics by name. ``docs/protocol.md`` describes it in full."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mri_cyclegan.evaluation.metrics.mutual_information import normalized_mutual_information
from mri_cyclegan.plugins import load_plugins

# Increases whenever the same prediction would get different metrics. Results of older versions can be read, but are
# ranked only among themselves: in version 1, single voxels and padding affected the foreground, see docs/protocol.md.
PROTOCOL_VERSION = 2

# Shown wherever training and evaluation metrics appear together.
WHY_TRAINING_METRICS_DIFFER = (
    "PSNR and SSIM of the training (val/…) are measured on the slices that the networks see, those of the evaluation "
    'on the scan\'s own voxels, so they differ: see docs/protocol.md, "While training".'
)


@dataclass(frozen=True)
class Metric:
    """How a metric is displayed and, for some, computed.

    Attributes:
        label: display name.
        unit: empty if dimensionless.
        higher_is_better: whether larger values are better.
        digits: decimal places to display.
        measure: function of prediction and target, each (N, H, W) in [0, 1], and mask, (N, H, W) bool, not empty; None
            for metrics that :func:`mri_cyclegan.evaluation.metrics.paired.measure_paired` computes together.
    """

    label: str
    unit: str
    higher_is_better: bool
    digits: int
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], float] | None = None


METRICS = {
    "psnr": Metric("PSNR", "dB", True, 2),
    "ssim": Metric("SSIM", "", True, 3),
    "ms_ssim": Metric("MS-SSIM", "", True, 3),
    "mae": Metric("MAE", "", False, 4),
    "nmse": Metric("NMSE", "", False, 4),
    "nmi": Metric("NMI", "", True, 3, normalized_mutual_information),
    **load_plugins("metrics", Metric),
}


def available_metrics(content: Mapping[str, Any]) -> list[str]:
    """Metrics of :data:`METRICS` that an evaluation has; one made before a metric was added lacks it.

    Args:
        content: content of ``metrics.json``.
    """
    return [name for name in METRICS if name in content.get("metrics", METRICS)]


def metrics_as_json() -> dict[str, dict[str, Any]]:
    """:data:`METRICS` as plain JSON values."""
    shown = ("label", "unit", "higher_is_better", "digits")
    return {name: {key: getattr(metric, key) for key in shown} for name, metric in METRICS.items()}
