"""What an evaluation looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class SubjectImages:
    """One subject's images in one direction, on the scan's own grid.

    Slices lie along the first axis, in the plane the model works in. Intensities are float32 in [0, 1]: each real image
    is scaled by its own foreground percentiles, and the model's output is mapped from [-1, 1], never rescaled to fit.

    Attributes:
        subject: whose they are.
        source: (N, H, W); None where only outputs and truths are there.
        output: (N, H, W), what the model made of the source.
        target: (N, H, W), the truth; None without a pair.
        foreground: (N, H, W) bool, of the target; of the source without one.
        source_foreground: (N, H, W) bool, of the source; None without one.
        spacing_mm: distance of neighbouring slices, rows and columns.
        tissues: (N, H, W) integer labels of tissue classes, 0 for none; None where nobody labelled them.
        tissue_names: label to name.
        lesions: (N, H, W) bool; None where nobody marked them.
        covered: (N, H, W) bool, where a resampled target reaches; None for everywhere.
        std: (N, H, W), standard deviation of the output over an ensemble; None for a single output.
    """

    subject: str
    source: np.ndarray | None
    output: np.ndarray
    target: np.ndarray | None
    foreground: np.ndarray
    source_foreground: np.ndarray | None
    spacing_mm: tuple[float, float, float]
    tissues: np.ndarray | None = None
    tissue_names: Mapping[int, str] = field(default_factory=dict)
    lesions: np.ndarray | None = None
    covered: np.ndarray | None = None
    std: np.ndarray | None = None
