"""Validation scores of trivial baselines without training: the dashed lines of the learning curves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.training.validation_metrics import PairedMetrics

Translator = Callable[[Tensor], Tensor]


class TrainingVolume(Protocol):
    """What a baseline needs of a volume: slices, (N, H, W) in [-1, 1], and their foreground mask."""

    slices: np.ndarray
    foreground: np.ndarray


# method → direction → metric → value of each subject; in Means, the mean over subjects.
Scores = dict[str, dict[str, dict[str, list[float]]]]
Means = dict[str, dict[str, dict[str, float]]]


def trivial_baselines(
    volumes_a: Sequence[TrainingVolume], volumes_b: Sequence[TrainingVolume]
) -> dict[str, dict[str, Translator]]:
    """Trivial baselines by name and direction (``"ab"``, ``"ba"``).

    Args:
        volumes_a: training volumes of contrast a.
        volumes_b: training volumes of contrast b.
    """
    return {
        "copy": {"ab": copy_source, "ba": copy_source},
        "mean intensity": {"ab": mean_intensity(volumes_b), "ba": mean_intensity(volumes_a)},
    }


def copy_source(image: Tensor) -> Tensor:
    """Return the source unchanged as the prediction."""
    return image


def mean_intensity(training_targets: Sequence[TrainingVolume]) -> Translator:
    """Translator that predicts the mean foreground intensity of the training targets at every pixel."""
    total, count = 0.0, 0
    for volume in training_targets:
        values = volume.slices[np.asarray(volume.foreground)]
        total, count = total + float(values.sum(dtype=np.float64)), count + values.size
    mean = total / count

    def predict(image: Tensor) -> Tensor:
        return torch.full_like(image, mean)

    return predict


@torch.inference_mode()
def score_translators(
    methods: Mapping[str, Mapping[str, Translator]],
    batches: Iterable[Mapping[str, Tensor]],
    num_cases: int,
    device: torch.device,
) -> Scores:
    """Score several methods on the same paired slices, on this rank alone.

    Args:
        methods: name → direction (``"ab"``, ``"ba"``) → function of (B, 2k + 1, H, W) stacks.
        batches: batches of :class:`mri_cyclegan.data.datasets.PairedSlices`.
        num_cases: number of subjects in the batches.
        device: where to compute.

    Returns:
        method → direction → metric (``"psnr"`` in dB, ``"ssim"``) → value of each subject.
    """
    meters = {
        name: {direction: PairedMetrics(num_cases, sync_on_compute=False).to(device) for direction in DIRECTIONS}
        for name in methods
    }
    for batch in batches:
        batch = {key: tensor.to(device) for key, tensor in batch.items()}
        for name, method in methods.items():
            for direction in DIRECTIONS:
                source, target = batch[direction[0]], batch[direction[1]]
                meters[name][direction].update(
                    method[direction](source), target, batch[f"foreground_{direction[1]}"], batch["case"]
                )
    # torchmetrics squeezes the values of a single subject to a scalar.
    return {
        name: {
            direction: {key: value.reshape(-1).tolist() for key, value in m.compute().items()}
            for direction, m in by_direction.items()
        }
        for name, by_direction in meters.items()
    }


def mean_over_subjects(scores: Scores) -> Means:
    """Mean over subjects of the scores that :func:`score_translators` returns."""
    return {
        method: {
            direction: {metric: fmean(values) for metric, values in of_direction.items()}
            for direction, of_direction in directions.items()
        }
        for method, directions in scores.items()
    }
