"""Hidden code: does the cycle close through visible structure in the output, or through an invisible code?

Cycle consistency rewards a fake from which the source can be reconstructed, even if it does not look like the source. A
generator can satisfy it by encoding the source in the lowest bits of the fake, which the reverse generator then reads.
Unlike visible structure, such a code does not survive 8-bit storage, a slight blur or a little noise.

Reference:
    Chu et al., "CycleGAN, a master of steganography", NeurIPS workshop on machine deception 2017.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from scipy import ndimage
from torch import Tensor

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.audits.levels import level_above
from mri_cyclegan.evaluation.metrics.paired import MAX_PSNR_DB

NAME = "Hidden code"

# Perturbations for intensities in [0, 1]: all imperceptible, and the noise below that of most scans.
NUM_LEVELS = 255
BLUR_PIXELS = 0.5
NOISE = 0.01

# Gain allowed to a reverse generator without a hidden code: between tissues, T1w changes up to about twice as much as
# T2w, so perturbations are amplified by as much. Without this, every nearly perfect cycle would be flagged.
ALLOWED_GAIN = 2.0

# PSNR lost beyond that allowance. In a perfect cycle these are gains of 2.8 and 4, more than between any two tissues. A
# code in the lowest of 8 bits needs a gain of 255, a code that spans 5 of the 255 levels a gain of 50.
AMBER_DB = 3.0
RED_DB = 6.0

# An RMSE of 0.18 of the intensity range, about the standard deviation of intensities within a head: such a cycle
# reconstructs the source no better than a constant gray would, so a perturbation has nothing to destroy.
MIN_CLEAN_PSNR_DB = 15.0

DESCRIPTIONS = {"quantised": "8 bits", "blurred": "blur", "noisy": "noise"}

MEANING = {
    Level.GREEN: "The way back reads the source from what the output shows, not from a code hidden in it.",
    Level.AMBER: "The way back relies on details of the output that are invisible. Lower model.lambda_cycle, and trust "
    "the paired figures rather than the cycle's.",
    Level.RED: "The cycle closes through an invisible code: an invisible change of the output destroys it. "
    "A low cycle loss says nothing here. Lower model.lambda_cycle or change the architecture, and train again.",
    Level.UNKNOWN: "The cycle does not close, so no hidden code is read either, and no loss of one can be measured. "
    "Train longer, or raise model.lambda_cycle.",
}

Translate = Callable[[Tensor], Tensor]


@torch.inference_mode()
def measure_hidden_code(slices: Tensor, foreground: Tensor, there: Translate, back: Translate) -> dict[str, Any]:
    """Measure how well the cycle still closes after imperceptible perturbations of the fakes.

    Args:
        slices: real slices of the source contrast, (N, 1, H, W), in [-1, 1].
        foreground: foreground of the source, (N, 1, H, W) bool.
        there: forward generator, slices to fakes, both (N, 1, H, W), in [-1, 1].
        back: reverse generator, fakes to cycled slices, same shape and range.

    Returns:
        PSNR in dB of the cycled slices over the foreground, ``clean`` and after each perturbation (``quantised``,
        ``blurred``, ``noisy``), and ``changes``, each perturbation's mean squared change of the fake, for intensities
        in [0, 1]; ``{}`` without any foreground.
    """
    if not foreground.any():
        return {}
    real, fake = _to_unit_range(slices), _to_unit_range(there(slices))

    def cycle_psnr(seen: Tensor) -> float:
        error = _mean_squared(_to_unit_range(back(2 * seen - 1)) - real, foreground)
        return -10 * math.log10(max(error, 10 ** (-MAX_PSNR_DB / 10)))

    perturbed = _perturb(fake)
    return {
        "clean": cycle_psnr(fake),
        **{name: cycle_psnr(seen) for name, seen in perturbed.items()},
        "changes": {name: _mean_squared(seen - fake, foreground) for name, seen in perturbed.items()},
    }


def assess_hidden_code(measured: Sequence[Mapping[str, Any]], direction: str) -> Audit:
    """Assess the PSNR lost beyond what a reverse generator of gain :data:`ALLOWED_GAIN` would lose.

    With gain g and no hidden code, the squared error is that of the clean cycle plus g² times the change of the fake.
    The plain drop in PSNR would flag honest cycles that close almost perfectly, where any change costs many dB.

    A cycle below :data:`MIN_CLEAN_PSNR_DB` is ``UNKNOWN``.

    Args:
        measured: result of :func:`measure_hidden_code` for each subject.
        direction: direction of the fake.
    """
    measured = [record for record in measured if record]
    if not measured:
        return Audit(NAME, direction, Level.UNKNOWN, "not measured", "It needs both generators, and a foreground.")
    psnr = {name: fmean(record[name] for record in measured) for name in ("clean", *DESCRIPTIONS)}
    excess = {name: fmean(_excess_db(record, name) for record in measured) for name in DESCRIPTIONS}
    worst = max(excess, key=lambda name: excess[name])
    closes = psnr["clean"] >= MIN_CLEAN_PSNR_DB
    level = level_above(excess[worst], AMBER_DB, RED_DB) if closes else Level.UNKNOWN
    perturbed = ", ".join(f"{psnr[name]:.1f} after {description}" for name, description in DESCRIPTIONS.items())
    figure = (
        f"cycle PSNR {psnr['clean']:.1f} dB, {perturbed}; "
        f"{max(0.0, excess[worst]):.1f} dB more than an honest loss ({DESCRIPTIONS[worst]})"
    )
    values = psnr | {f"excess_{name}": value for name, value in excess.items()}
    return Audit(NAME, direction, level, figure, MEANING[level], values)


def _perturb(fake: Tensor) -> dict[str, Tensor]:
    """Imperceptible perturbations of fakes in [0, 1], by name."""
    noise = torch.randn(fake.shape, generator=torch.Generator().manual_seed(0)).to(fake.device)
    blurred = ndimage.gaussian_filter(fake.cpu().numpy(), sigma=(0, 0, BLUR_PIXELS, BLUR_PIXELS))
    return {
        "quantised": (fake * NUM_LEVELS).round() / NUM_LEVELS,
        "blurred": torch.from_numpy(blurred).to(fake.device),
        "noisy": fake + NOISE * noise,
    }


def _excess_db(record: Mapping[str, Any], name: str) -> float:
    clean_error = 10 ** (-record["clean"] / 10)
    honest_psnr = -10 * math.log10(clean_error + ALLOWED_GAIN**2 * record["changes"][name])
    return honest_psnr - record[name]


def _to_unit_range(images: Tensor) -> Tensor:
    return (images.float() + 1) / 2


def _mean_squared(difference: Tensor, foreground: Tensor) -> float:
    return float(difference[foreground].square().mean())
