"""The evaluation protocol: what is measured, by name. ``docs/protocol.md`` has it in full."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mri_cyclegan.evaluation.metrics.mutual_information import normalized_mutual_information
from mri_cyclegan.plugins import plugins

# Changes whenever the same prediction would get other numbers. Results of older versions are read and ranked among
# themselves: version 1 found the head from single voxels and padding, see docs/protocol.md.
PROTOCOL_VERSION = 2

# Said wherever both stand.
WHY_OTHERWISE = (
    "PSNR and SSIM of the training (val/…) are measured on the slices that the networks see, those of the evaluation "
    'on the scan\'s own voxels, so they differ: see docs/protocol.md, "While training".'
)


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        label: for people.
        unit: empty where there is none.
        higher_is_better: which way is better.
        digits: behind the point.
        measure: prediction, target, each (N, H, W) in [0, 1], and mask, (N, H, W) bool with at least one voxel, to the
            metric; None for those that :func:`mri_cyclegan.evaluation.metrics.paired.measure_paired` computes together.
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
    **plugins("metrics", Metric),
}


def metrics_in(content: Mapping[str, Any]) -> list[str]:
    """Those of :data:`METRICS` that an evaluation has: one from before a metric was added does not have it.

    Args:
        content: of ``metrics.json``.
    """
    return [name for name in METRICS if name in content.get("metrics", METRICS)]


def metrics_as_json() -> dict[str, dict[str, Any]]:
    """:data:`METRICS` as plain JSON values."""
    shown = ("label", "unit", "higher_is_better", "digits")
    return {name: {key: getattr(metric, key) for key in shown} for name, metric in METRICS.items()}
