"""Values that files hold where nothing was measured: outside a mask, around a field of view, in lost slices."""

from collections.abc import Iterator

import numpy as np

# Robust ends of a range, in percent.
ENDS = (0.5, 99.5)
# Tissue has values in this range, widened by that share.
WIDENED = 0.1

# Share of a border that one value takes in connected areas, at least, to be padding.
MIN_AREA = 0.02
# Likewise of a value that tissue has too, which may be saturated or without noise.
MIN_AREA_OF_TISSUE_VALUE = 0.1
# Padding inside padding inside padding.
MAX_NESTED = 4


def padding_values(image: np.ndarray, coarse: np.ndarray) -> list[float]:
    """Exact values of what was not measured, the commonest at the border first.

    These are the values that fill areas of the border, or of the border of what constant planes enclose, and those
    that fill a whole plane of a volume. Of measured values, even neighbours differ.

    Args:
        image: 2-D or 3-D, any numbers.
        coarse: every n-th voxel of it, both ends included.
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
    """Values in areas of an array's border, to the share of the border that they take."""
    faces = [box.take(end, axis) for axis in range(box.ndim) for end in (0, -1)]
    values, counts = np.unique(np.concatenate([_in_areas(face) for face in faces]), return_counts=True)
    shares = counts / sum(face.size for face in faces)
    return {float(value): float(share) for value, share in zip(values, shares, strict=True) if share >= MIN_AREA}


def _in_areas(face: np.ndarray) -> np.ndarray:
    """Values of the pixels of a face that equal the next one along each of its axes."""
    first = face[(slice(None, -1),) * face.ndim]
    equal = np.ones(first.shape, bool)
    for axis in range(face.ndim):
        following = tuple(slice(1, None) if other == axis else slice(None, -1) for other in range(face.ndim))
        equal &= face[following] == first
    return first[equal]


def _without_constant_planes(box: np.ndarray) -> tuple[np.ndarray, set[float]]:
    """What is left when outer planes of one value are taken off an array, and their values."""
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
    """Values that fill whole planes of a volume, wherever these are."""
    if image.ndim < 3:
        return
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        lines = image.take([0, image.shape[others[0]] // 2], others[0])  # two of each plane, which say no most often
        known: set[float] = set()
        for index in np.flatnonzero(lines.min(others) == lines.max(others)):
            plane = image.take(index, axis)
            value = float(plane.flat[0])
            if value not in known and (plane == plane.flat[0]).all():
                known.add(value)
        yield from known


def _measured_range(coarse: np.ndarray, paddings: set[float]) -> tuple[float, float]:
    """Robust ends of what has none of the values, widened."""
    rest = coarse[~np.isin(coarse, np.array(sorted(paddings), coarse.dtype))]
    if rest.size == 0:
        return -np.inf, np.inf
    low, high = np.percentile(rest, ENDS)
    return low - WIDENED * (high - low), high + WIDENED * (high - low)
