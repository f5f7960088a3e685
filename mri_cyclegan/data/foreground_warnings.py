"""Warnings about images in which the foreground may be wrong."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from mri_cyclegan.data.background import Background, IntensityBand
from mri_cyclegan.data.findings import ImageWarning

# Voxels that are this many times the head's range below the background or above the head are not tissue.
STRAY_BELOW, STRAY_ABOVE = 1.0, 5.0

# A negative background below this height, in units of the head's range, may stand for voxels that were not measured.
FAR_BELOW = -0.25

# Smallest sizes to report, as shares of the head's size: of a second part, and of a part at the opposite border of the
# field of view, which may be wrapped around.
SECOND_PART, WRAPPED_PART = 0.1, 0.002

# A voxel of air is loud if it exceeds the median of air by this share of the head's range; air counts as empty if at
# most this share of its voxels is loud.
GHOST_LEVEL, MAX_LOUD_SHARE = 0.03, 0.06
# Air is subsampled to at most this many voxels per axis, smoothed, and used only this far from anything bright.
AIR_SIDE, AIR_SIGMA, AIR_DISTANCE = 96, 1.5, 4
MIN_AIR_VOXELS = 100


def foreground_warnings(
    background: Background, image: np.ndarray, limited: np.ndarray, labels: np.ndarray, head: int
) -> Iterator[ImageWarning]:
    """List what the owner of a scan should check.

    Args:
        background: background of the image.
        image: image with every background made dark.
        limited: ``image`` clipped to ``background.limits``.
        labels: connected bright components, numbered from 1.
        head: label of the head; 0 if there is none.
    """
    yield from _about_background(background)
    yield from _outlier_warnings(background, image)
    if head:
        yield from _component_warnings(labels, head)
        yield from _about_air(background, limited, labels)


def _about_background(background: Background) -> Iterator[ImageWarning]:
    level = background.level
    if level is None:
        yield ImageWarning(
            "no value or narrow range of values is common at its border, so the head was separated from its background "
            "by brightness alone",
            "Look at it in the report of verify; a wider field of view would show air around the head.",
        )
        return
    if background.paddings:
        values = ", ".join(f"{padding.middle:g}" for padding in background.paddings)
        yield ImageWarning(
            f"the background around the head is {_format_level(level)}, "
            f"but areas or whole slices have the value {values}",
            "These are taken for padding. Remove the padding if the head lies in them.",
        )
    if not background.is_dark and level.middle > background.high:
        problem = f"its background, {_format_level(level)}, is brighter than the head"
        yield ImageWarning(problem, "It is made dark. Check that the image is not inverted.")
    elif not background.is_dark and not level.is_single_value:
        problem = f"its background, {_format_level(level)}, lies among the intensities of the head"
        yield ImageWarning(
            problem, "It is made dark. Mask the head, or check where it was found in the report of verify."
        )
    elif background.is_dark and level.is_single_value and level.middle < 0 and background.height < FAR_BELOW:
        head = f"{background.low:.4g} to {background.high:.4g}"
        yield ImageWarning(
            f"its background, {_format_level(level)}, is far darker than the head, {head}",
            "Should it stand for what was not measured, give it the intensity of the head's darkest voxels.",
        )


def _format_level(level: IntensityBand) -> str:
    return f"{level.middle:g}" if level.is_single_value else f"about {level.middle:.3g}"


def _outlier_warnings(background: Background, image: np.ndarray) -> Iterator[ImageWarning]:
    low = background.dark - STRAY_BELOW * background.range
    high = background.high + STRAY_ABOVE * background.range
    lowest, highest = float(image.min()), float(image.max())
    count = np.count_nonzero(image < low) if lowest < low else 0
    count += np.count_nonzero(image > high) if highest > high else 0
    if count:
        extremes = " and ".join(f"{value:g}" for value in (lowest, highest) if not low <= value <= high)
        voxels = "1 voxel lies" if count == 1 else f"{count} voxels lie"
        yield ImageWarning(
            f"{voxels} far beyond all others, up to {extremes} where the head has {background.low:.4g} to "
            f"{background.high:.4g}",
            "They are ignored. Look for spikes or marks that were burnt in.",
        )


def _component_warnings(labels: np.ndarray, head: int) -> Iterator[ImageWarning]:
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    shares = sizes / sizes[head]
    shares[head] = 0
    if shares.max() < WRAPPED_PART:
        return
    boxes = ndimage.find_objects(labels)
    wrapped = [
        part
        for part in np.flatnonzero(shares >= WRAPPED_PART)
        if _face_each_other(boxes[part - 1], boxes[head - 1], labels.shape)
    ]
    if wrapped:
        yield ImageWarning(
            f"the head is cut off at a border, and a part of {100 * shares[wrapped].sum():.1f} % of its size lies at "
            "the opposite one: it may be wrapped around",
            "Shift the image back, or crop the wrapped part away.",
        )
    elif shares.max() >= SECOND_PART:
        yield ImageWarning(
            f"beside the head there is a part of {100 * shares.max():.0f} % of its size, which is left out",
            "Look at it in the report of verify: slices may be missing, or the head wrapped around.",
        )


def _face_each_other(part: tuple[slice, ...], head: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(
        (one.start == 0 and other.stop == size) or (other.start == 0 and one.stop == size)
        for one, other, size in zip(part, head, shape, strict=True)
    )


def _about_air(background: Background, limited: np.ndarray, labels: np.ndarray) -> Iterator[ImageWarning]:
    every = tuple(slice(None, None, -(-size // AIR_SIDE)) for size in limited.shape)
    air = ~ndimage.binary_dilation(labels[every] > 0, iterations=AIR_DISTANCE)
    if background.level is None or np.count_nonzero(air) < MIN_AIR_VOXELS:
        return
    heights = ndimage.gaussian_filter(limited[every], AIR_SIGMA)[air]
    loud = float((heights - np.median(heights) > GHOST_LEVEL * background.range).mean())
    if loud > MAX_LOUD_SHARE:
        yield ImageWarning(
            f"{100 * loud:.0f} % of its air is not empty: a ghost of the head, a wrapped part, or an artifact",
            "Look at it in the report of verify: the outline and the intensities of the head may be wrong.",
        )
