"""The images of one subject that an evaluation measures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class SubjectImages:
    """One subject's images in one direction, on the scan's own grid.

    Slices lie along the first axis, in the plane the model works in. Intensities are float32 in [0, 1]: each real image
    is scaled by its own foreground percentiles, and the model's output is mapped from [-1, 1], never rescaled to fit.

    Attributes:
        subject: name of the subject.
        source: (N, H, W); None if only output and target are given.
        output: (N, H, W), the model's translation of the source.
        target: (N, H, W), the real scan of the target contrast; None without a pair.
        foreground: (N, H, W) bool, foreground of the target, or of the source if there is no target.
        source_foreground: (N, H, W) bool, foreground of the source; None without a source.
        spacing_mm: spacing of slices, rows and columns.
        tissues: (N, H, W) integer labels of tissue classes, 0 for none; None if unlabeled.
        tissue_names: label to name.
        lesions: (N, H, W) bool; None without a lesion mask.
        covered: (N, H, W) bool, field of view of the resampled target; None for everywhere.
        std: (N, H, W), standard deviation of the output over an ensemble or test-time augmentation; None for a
            single output.
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
