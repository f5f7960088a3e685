"""What no training at all would score."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mri_cyclegan.data.cached_volume import CachedVolume

Translator = Callable[[Tensor], Tensor]


def trivial_baselines(
    volumes_a: Sequence[CachedVolume], volumes_b: Sequence[CachedVolume]
) -> dict[str, dict[str, Translator]]:
    """The baselines by name and direction (``"ab"``, ``"ba"``).

    Args:
        volumes_a: training volumes of contrast a.
        volumes_b: training volumes of contrast b.
    """
    return {
        "copy": {"ab": copy_source, "ba": copy_source},
        "mean intensity": {"ab": mean_intensity(volumes_b), "ba": mean_intensity(volumes_a)},
    }


def copy_source(image: Tensor) -> Tensor:
    """The source itself as the prediction."""
    return image


def mean_intensity(training_targets: Sequence[CachedVolume]) -> Translator:
    """The mean foreground intensity of the training targets, everywhere."""
    total, count = 0.0, 0
    for volume in training_targets:
        values = volume.slices[np.asarray(volume.foreground)]
        total, count = total + float(values.sum(dtype=np.float64)), count + values.size
    mean = total / count

    def predict(image: Tensor) -> Tensor:
        return torch.full_like(image, mean)

    return predict
