"""Subject matching: whether an output still shows the anatomy of its own subject."""

from collections.abc import Sequence

import numpy as np

from mri_cyclegan.data.foreground import foreground_mask
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.metrics.mutual_information import normalized_mutual_information

# Anatomy of this size distinguishes heads, and a reduced head takes 0.1 MB.
REDUCED_SPACING_MM = 4.0
# Smaller volumes are not reduced.
MIN_REDUCED_VOXELS = 64**3

# Sources of other subjects that each output is compared with: enough for a hard test, more only take more time.
MAX_OTHER_SUBJECTS = 50


def downsample(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Reduce a volume to means of blocks of about 4 mm, small enough to keep in memory for every subject.

    Voxels at the end of an axis that do not fill a whole block are dropped.

    Args:
        array: (N, H, W) float, in [0, 1].
        spacing_mm: distance between neighboring slices, rows and columns.

    Returns:
        (N', H', W') uint8, 0 to 255 for [0, 1]; on the input's grid if that has fewer than 64³ voxels.
    """
    if array.size >= MIN_REDUCED_VOXELS:
        for axis, spacing in enumerate(spacing_mm):
            array = _block_means(array, axis, round(REDUCED_SPACING_MM / spacing))
    return np.rint(array.clip(0, 1) * 255).astype(np.uint8)


def subject_matching(
    outputs: Sequence[np.ndarray], sources: Sequence[np.ndarray], subjects: Sequence[str]
) -> dict[str, float | int]:
    """How often an output is more similar to its own source than to any other subject's source.

    Similarity is the normalized mutual information over all voxels where the output or the source shows the head. A
    source on another grid is centered on the output's grid. A tie with another source, as for a constant output, does
    not count as a match.

    Args:
        outputs: volumes from :func:`downsample`.
        sources: the sources of the outputs, also from :func:`downsample`, in the same order.
        subjects: subject of each output. Only other subjects' sources are rivals, at most 50 of them.

    Returns:
        ``accuracy``, in [0, 1]; ``chance``, the expected accuracy of guessing; ``num_subjects``.
    """
    assert outputs
    images = [(source / np.float32(255), foreground_mask(source)) for source in sources]
    num_matched, chances = 0, []
    for own, output in enumerate(outputs):
        rivals = _other_subjects(own, subjects)
        similarity, *others = _similarities(output, [images[own], *(images[rival] for rival in rivals)])
        num_matched += similarity > max(others, default=0.0)
        chances.append(1 / (1 + len(rivals)))
    return {
        "accuracy": num_matched / len(outputs),
        "chance": float(np.mean(chances)),
        "num_subjects": len(set(subjects)),
    }


def _other_subjects(own: int, subjects: Sequence[str]) -> list[int]:
    """Indices of other subjects' images, evenly spaced if there are too many."""
    others = [position for position, subject in enumerate(subjects) if subject != subjects[own]]
    return [others[place] for place in evenly_spaced(len(others), MAX_OTHER_SUBJECTS)]


def _similarities(output: np.ndarray, sources: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Normalized mutual information of an output with each (source, foreground)."""
    image, head = output / np.float32(255), foreground_mask(output)
    similarities = []
    for source, source_head in sources:
        mask = head | _center_crop_or_pad(source_head, head.shape)
        similarities.append(normalized_mutual_information(image, _center_crop_or_pad(source, head.shape), mask))
    return similarities


def _block_means(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Means of blocks of ``size`` voxels along an axis, or of the whole axis if it is shorter."""
    size = min(max(size, 1), array.shape[axis])
    num_blocks = array.shape[axis] // size
    whole = np.moveaxis(array, axis, 0)[: num_blocks * size]
    blocks = whole.reshape(num_blocks, size, *whole.shape[1:])
    return np.moveaxis(blocks.mean(axis=1), 0, axis)


def _center_crop_or_pad(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Center-crop or zero-pad to a shape."""
    padding = [
        (max(0, new - old) // 2, (max(0, new - old) + 1) // 2) for old, new in zip(array.shape, shape, strict=True)
    ]
    array = np.pad(array, padding)
    starts = [(old - new) // 2 for old, new in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(start, start + new) for start, new in zip(starts, shape, strict=True))]
