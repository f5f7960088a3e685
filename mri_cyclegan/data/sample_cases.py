"""Fixed slices whose translations are shown during training."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_cyclegan.data.cached_volume import CachedVolume


@dataclass(frozen=True)
class SampleCase:
    """One fixed slice of each contrast.

    Attributes:
        a: generator input of contrast a, (2k + 1, H, W), in [-1, 1].
        b: generator input of contrast b, (2k + 1, H, W), in [-1, 1]; the ground truth for ``a`` if ``paired``.
        paired: whether both show the same slice of the same head.
        label: subjects and slice indices.
    """

    a: Tensor
    b: Tensor
    paired: bool
    label: str


def middle_cases(
    pairs: Sequence[tuple[CachedVolume, CachedVolume]], count: int, paired: bool, num_adjacent: int
) -> list[SampleCase]:
    """Choose slices near the middle of the heads, cycling through the pairs of volumes.

    Args:
        pairs: at least one pair of volumes of a and b; of the same head if ``paired``.
        count: number of cases.
        paired: whether the volumes of a pair show the same slices.
        num_adjacent: neighbors on either side, k.
    """
    return [middle_case(*pairs[number % len(pairs)], number, count, paired, num_adjacent) for number in range(count)]


def middle_case(
    volume_a: CachedVolume, volume_b: CachedVolume, number: int, count: int, paired: bool, num_adjacent: int
) -> SampleCase:
    """Choose a slice between 35 and 65 percent of each head's height, higher for higher case numbers.

    Args:
        volume_a: volume of contrast a.
        volume_b: volume of contrast b; of the same head if ``paired``.
        number: index of the case.
        count: number of cases.
        paired: whether both show the same slice.
        num_adjacent: neighbors on either side, k.
    """
    height = 0.35 + 0.3 * (number + 0.5) / count
    index_a = _slice_at(volume_a, height)
    index_b = index_a if paired else _slice_at(volume_b, height)
    name_a, name_b = f"{volume_a.scan.subject} {index_a}", f"{volume_b.scan.subject} {index_b}"
    return SampleCase(
        torch.from_numpy(volume_a.stack(index_a, num_adjacent)),
        torch.from_numpy(volume_b.stack(index_b, num_adjacent)),
        paired,
        name_a if paired else f"{name_a} / {name_b}",
    )


def _slice_at(volume: CachedVolume, height: float) -> int:
    """Index of the slice at a relative height of the head, in [0, 1]."""
    shown = volume.shown_slices
    return int(shown[int(height * (len(shown) - 1))]) if len(shown) else 0
