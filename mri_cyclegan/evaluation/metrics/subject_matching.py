"""Whether an output still shows the person it was made from."""

from collections.abc import Sequence

import numpy as np

from mri_cyclegan.data.foreground import foreground_mask
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.metrics.mutual_information import normalized_mutual_information

# Anatomy of this size tells heads apart, and a reduced head takes 0.1 MB.
REDUCED_SPACING_MM = 4.0
# A volume of fewer voxels is kept as it is.
MIN_REDUCED_VOXELS = 64**3

# Sources of this many others are enough to lose among, and the time grows with their number only.
MAX_RIVALS = 50


def reduced(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """A small volume that stays in memory while other subjects are looked at: means of blocks of about 4 mm.

    What does not fill a whole block at the end of an axis is left out.

    Args:
        array: (N, H, W) float, in [0, 1].
        spacing_mm: distance of neighbouring slices, rows and columns.

    Returns:
        (N', H', W') uint8, 0 to 255 for [0, 1]; on the same grid if it has fewer than 64³ voxels.
    """
    if array.size >= MIN_REDUCED_VOXELS:
        for axis, spacing in enumerate(spacing_mm):
            array = _block_means(array, axis, round(REDUCED_SPACING_MM / spacing))
    return np.rint(array.clip(0, 1) * 255).astype(np.uint8)


def subject_matching(
    outputs: Sequence[np.ndarray], sources: Sequence[np.ndarray], subjects: Sequence[str]
) -> dict[str, float | int]:
    """How often an output's own source tells more about it than any other subject's source does.

    The measure is the normalized mutual information over all voxels where the output or the source shows the head. A
    source on another grid is centred on the output's. An output that another source fits as well, such as a constant
    one, is not recognised.

    Args:
        outputs: what :func:`reduced` returns of each.
        sources: likewise, in the same order.
        subjects: whose each is. Another image of the same subject is no rival; of many others, 50 are.

    Returns:
        ``accuracy``, in [0, 1]; ``chance``, what guessing would reach; ``num_subjects``.
    """
    assert outputs
    images = [(source / np.float32(255), foreground_mask(source)) for source in sources]
    num_matched, chances = 0, []
    for own, output in enumerate(outputs):
        rivals = _rivals(own, subjects)
        similarity, *others = _similarities(output, [images[own], *(images[rival] for rival in rivals)])
        num_matched += similarity > max(others, default=0.0)
        chances.append(1 / (1 + len(rivals)))
    return {
        "accuracy": num_matched / len(outputs),
        "chance": float(np.mean(chances)),
        "num_subjects": len(set(subjects)),
    }


def _rivals(own: int, subjects: Sequence[str]) -> list[int]:
    """Positions of other subjects' images, evenly chosen if there are many."""
    others = [position for position, subject in enumerate(subjects) if subject != subjects[own]]
    return [others[place] for place in evenly_spaced(len(others), MAX_RIVALS)]


def _similarities(output: np.ndarray, sources: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Normalised mutual information of an output with each of several sources, given with their foregrounds."""
    image, head = output / np.float32(255), foreground_mask(output)
    similarities = []
    for source, source_head in sources:
        mask = head | _centred(source_head, head.shape)
        similarities.append(normalized_mutual_information(image, _centred(source, head.shape), mask))
    return similarities


def _block_means(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Means of ``size`` neighbours along an axis, of the whole axis if it is shorter."""
    size = min(max(size, 1), array.shape[axis])
    num_blocks = array.shape[axis] // size
    whole = np.moveaxis(array, axis, 0)[: num_blocks * size]
    blocks = whole.reshape(num_blocks, size, *whole.shape[1:])
    return np.moveaxis(blocks.mean(axis=1), 0, axis)


def _centred(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Crop or pad with zeros, evenly on both sides, to a shape."""
    padding = [
        (max(0, new - old) // 2, (max(0, new - old) + 1) // 2) for old, new in zip(array.shape, shape, strict=True)
    ]
    array = np.pad(array, padding)
    starts = [(old - new) // 2 for old, new in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(start, start + new) for start, new in zip(starts, shape, strict=True))]
