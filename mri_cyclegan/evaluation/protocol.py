"""The evaluation protocol's paired part, on the slices a model was trained for."""

from collections.abc import Iterable, Mapping
from statistics import fmean

import torch
from torch import Tensor

from mri_cyclegan.evaluation.baselines import Translator
from mri_cyclegan.evaluation.metrics import PairedMetrics

PROTOCOL_VERSION = 1
DIRECTIONS = ("ab", "ba")

# method → direction → metric → value of each subject, and the same with the mean over subjects.
Scores = dict[str, dict[str, dict[str, list[float]]]]
Means = dict[str, dict[str, dict[str, float]]]


@torch.inference_mode()
def measure(
    methods: Mapping[str, Mapping[str, Translator]],
    batches: Iterable[Mapping[str, Tensor]],
    num_cases: int,
    device: torch.device,
) -> Scores:
    """Score several methods on the same paired slices.

    Args:
        methods: name to direction (``"ab"``, ``"ba"``) to a function of (B, 2k + 1, H, W) stacks.
        batches: of :class:`mri_cyclegan.data.datasets.PairedSlices`.
        num_cases: number of subjects in them.
        device: where to compute.

    Returns:
        method → direction → metric (``"psnr"`` in dB, ``"ssim"``) → value of each subject.
    """
    meters = {name: {way: PairedMetrics(num_cases).to(device) for way in DIRECTIONS} for name in methods}
    for batch in batches:
        batch = {key: tensor.to(device) for key, tensor in batch.items()}
        for name, method in methods.items():
            for way in DIRECTIONS:
                source, target = batch[way[0]], batch[way[1]]
                meters[name][way].update(method[way](source), target, batch[f"foreground_{way[1]}"], batch["case"])
    # torchmetrics turns the values of a single subject into a scalar.
    return {
        name: {
            way: {key: value.reshape(-1).tolist() for key, value in m.compute().items()} for way, m in by_way.items()
        }
        for name, by_way in meters.items()
    }


def mean_over_subjects(scores: Scores) -> Means:
    """Mean of each metric, of what :func:`measure` returns."""
    return {
        method: {way: {metric: fmean(values) for metric, values in of_way.items()} for way, of_way in ways.items()}
        for method, ways in scores.items()
    }
