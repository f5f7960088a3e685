"""Padding values, where nothing was measured: outside a mask, around a field of view, in missing slices."""

from collections.abc import Iterator

import numpy as np

# Percentiles taken as the robust ends of an intensity range.
ENDS = (0.5, 99.5)
# The measured range is widened by this share on both sides.
RANGE_MARGIN = 0.1

# Smallest share of the border that a value must fill in connected areas to count as padding.
MIN_AREA = 0.02
# The same for a value inside the measured range, where tissue may be saturated or free of noise.
MIN_AREA_OF_TISSUE_VALUE = 0.1
# Largest depth of padding nested inside other padding.
MAX_NESTED = 4


def padding_values(image: np.ndarray, coarse: np.ndarray) -> list[float]:
    """Find the exact values used as padding, most common at the border first.

    These are values that fill connected areas of the border (of the image, or of what is left after constant outer
    planes are removed), or a whole plane of a volume. Measured values differ even between neighboring voxels.

    Args:
        image: 2-D or 3-D, any intensities.
        coarse: ``image`` subsampled along each axis, both ends included.
    """
    planes = set(_plane_values(image))
    shares = _border_shares(image)
    for _ in range(MAX_NESTED):
        coarse, peeled = _without_constant_planes(coarse)
        if not peeled:
            break
        planes |= peeled
        shares = _border_shares(coarse) | shares
    main = max(shares, key=lambda value: shares[value], default=None)
    low, high = _measured_range(coarse, {*shares, *planes})
    kept = {
        value
        for value, share in shares.items()
        if value == main or value in planes or share >= MIN_AREA_OF_TISSUE_VALUE or not low <= value <= high
    }
    return sorted(kept | planes, key=lambda value: -shares.get(value, 0.0))


def _border_shares(box: np.ndarray) -> dict[float, float]:
    """Map each value that fills connected areas of an array's border to its share of the border."""
    faces = [box.take(end, axis) for axis in range(box.ndim) for end in (0, -1)]
    values, counts = np.unique(np.concatenate([_values_in_connected_areas(face) for face in faces]), return_counts=True)
    shares = counts / sum(face.size for face in faces)
    return {float(value): float(share) for value, share in zip(values, shares, strict=True) if share >= MIN_AREA}


def _values_in_connected_areas(face: np.ndarray) -> np.ndarray:
    """Values of the pixels that equal the next pixel along every axis of the face."""
    first = face[(slice(None, -1),) * face.ndim]
    equal = np.ones(first.shape, bool)
    for axis in range(face.ndim):
        following = tuple(slice(1, None) if other == axis else slice(None, -1) for other in range(face.ndim))
        equal &= face[following] == first
    return first[equal]


def _without_constant_planes(box: np.ndarray) -> tuple[np.ndarray, set[float]]:
    """Strip constant outer planes off an array; returns what is left, and the values of these planes."""
    peeled: set[float] = set()
    for axis in range(box.ndim):
        others = tuple(other for other in range(box.ndim) if other != axis)
        lowest, highest = box.min(others), box.max(others)
        varied = np.flatnonzero(lowest != highest)
        if len(varied):
            peeled.update(map(float, lowest[: varied[0]]), map(float, lowest[varied[-1] + 1 :]))
            box = box.take(np.arange(varied[0], varied[-1] + 1), axis)
    return box, peeled


def _plane_values(image: np.ndarray) -> Iterator[float]:
    """Values that fill whole planes of a volume, at any position."""
    if image.ndim < 3:
        return
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        lines = image.take([0, image.shape[others[0]] // 2], others[0])  # a cheap test that rejects most planes
        known: set[float] = set()
        for index in np.flatnonzero(lines.min(others) == lines.max(others)):
            plane = image.take(index, axis)
            value = float(plane.flat[0])
            if value not in known and (plane == plane.flat[0]).all():
                known.add(value)
        yield from known


def _measured_range(coarse: np.ndarray, paddings: set[float]) -> tuple[float, float]:
    """Robust intensity range of the voxels without padding values, widened."""
    rest = coarse[~np.isin(coarse, np.array(sorted(paddings), coarse.dtype))]
    if rest.size == 0:
        return -np.inf, np.inf
    low, high = np.percentile(rest, ENDS)
    return low - RANGE_MARGIN * (high - low), high + RANGE_MARGIN * (high - low)
