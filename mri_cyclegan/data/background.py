"""Background around the head: the intensities of air, of masked-out voxels, and of padding."""

from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.padding import ENDS, padding_values

# Larger volumes are subsampled to this many voxels per axis to find background and limits, which saves time.
COARSE_SIDE = 128

# Largest width of the middle half of a narrow mode, as a share of the intensity range inside the padding.
NARROW = 0.1
# Air extends this many such widths to either side of its middle: four standard deviations of noise.
AIR_WIDTHS = 3
# Smallest share that air has of the region inside the padding, if that region is a box and if it has another shape. The
# fluid around the brain also has a narrow mode, but takes up less.
MIN_SHARE_OF_BOX, MIN_SHARE = 0.2, 0.35
# Share of its bounding box that a box fills at least, even resampled or cropped; a head fills less.
MIN_BOX_FILL = 0.95
# In the region inside the padding: largest share that is darker than air, and smallest share that is not air.
MAX_DARKER, MIN_HEAD = 0.05, 0.01

# Padding counts only if it differs from the background by more than this share of the head's range.
MIN_PADDING_DIFFERENCE = 0.05
# Heights above the head's lower end, in units of the head's range: a background is dark up to the first. A negative
# value below the second stands for voxels that were not measured, because a magnitude image has none.
MAX_DARK, NOT_MEASURED = 0.1, -0.8

# The head's range is widened by these shares before outlier voxels are clipped to it.
MARGIN_BELOW, MARGIN_ABOVE = 0.05, 1.0


@dataclass(frozen=True)
class IntensityBand:
    """Intensities of one background: a single value or a narrow mode.

    Attributes:
        middle: the value, or the middle of the mode.
        low: lower end; equal to ``middle`` for a single value.
        high: upper end; equal to ``middle`` for a single value.
    """

    middle: float
    low: float
    high: float

    @property
    def is_single_value(self) -> bool:
        """Whether it is a single value."""
        return self.low == self.high

    def of(self, array: np.ndarray) -> np.ndarray:
        """Voxels with these intensities, bool."""
        if self.is_single_value:
            return np.asarray(array == np.float32(self.middle))
        return np.asarray((array >= self.low) & (array <= self.high))


@dataclass(frozen=True)
class Background:
    """Background of an image, and the intensity range of the head.

    Attributes:
        level: intensities of the background next to the head; None if the border has neither a common value nor a
            narrow mode.
        paddings: other values and modes, further outside or in lost slices, that differ from ``level``.
        floor: robust lower end of the background's intensities.
        low: robust lower end of the head's intensities.
        high: robust upper end of the head's intensities.
        darkest: nearly the lowest of the head's intensities.
    """

    level: IntensityBand | None
    paddings: tuple[IntensityBand, ...]
    floor: float
    low: float
    high: float
    darkest: float

    @property
    def height(self) -> float:
        """Background intensity above the head's lower end, in units of the head's range; 0 if unknown."""
        if self.level is None:
            return 0.0
        return (self.level.middle - self.low) / max(self.high - self.low, float(np.finfo(np.float32).tiny))

    @property
    def is_dark(self) -> bool:
        """Whether the background is as dark as air, and was measured."""
        was_measured = self.level is None or not self.level.is_single_value or self.level.middle >= 0
        return self.height <= MAX_DARK and (was_measured or self.height >= NOT_MEASURED)

    @property
    def dark(self) -> float:
        """Intensity that replaces every background: the background's own if it is dark, else the head's darkest."""
        return self.level.middle if self.level is not None and self.is_dark else self.darkest

    @property
    def range(self) -> float:
        """Intensity difference between the dark background and the head's upper end."""
        return self.high - self.dark

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit of all intensities except outlier voxels, once every background is dark."""
        floor = self.floor if self.is_dark else self.darkest
        is_noise = self.level is not None and self.is_dark and not self.level.is_single_value
        return floor - (0 if is_noise else MARGIN_BELOW * self.range), self.high + MARGIN_ABOVE * self.range


def find_background(image: np.ndarray) -> Background:
    """Find the background of an image, searching from its border inward.

    Args:
        image: 2-D or 3-D float32, not constant.
    """
    coarse = image[np.ix_(*(_some_indices(size) for size in image.shape))]
    levels = [IntensityBand(value, value, value) for value in padding_values(image, coarse)]
    outside = _mask_of_any(levels, coarse)
    if outside.all():  # a drawing of few values
        levels = levels[:1]
        outside = _mask_of_any(levels, coarse)
    if (air := _air(coarse, outside)) is not None:
        levels.append(air)
        outside |= air.of(coarse)
    head = image if outside.all() else coarse[~outside]
    darkest, low, high = (float(value) for value in np.percentile(head, (ENDS[0] / 5, *ENDS)))
    if not levels:
        return Background(None, (), low, low, high, darkest)
    around = coarse[_face_neighbors(~outside) & outside]
    inner = max(levels, key=lambda level: np.count_nonzero(level.of(around)))
    floor = float(np.percentile(coarse[inner.of(coarse)], ENDS[0]))
    apart = MIN_PADDING_DIFFERENCE * (high - min(low, inner.middle))
    paddings = [level for level in levels if not inner.low - apart <= level.middle <= inner.high + apart]
    return Background(inner, tuple(paddings), floor, low, high, darkest)


def _some_indices(size: int) -> np.ndarray:
    return np.unique(np.rint(np.linspace(0, size - 1, min(size, COARSE_SIDE))).astype(int))


def _mask_of_any(levels: list[IntensityBand], array: np.ndarray) -> np.ndarray:
    found = np.zeros(array.shape, bool)
    for level in levels:
        found |= level.of(array)
    return found


def _air(coarse: np.ndarray, outside: np.ndarray) -> IntensityBand | None:
    """Narrow mode of most voxels at the rim of the region inside the padding; None without one, or if it is not air."""
    inside, rim = coarse[~outside], np.sort(coarse[_rim(outside)])
    half = len(rim) // 2
    if half == 0:
        return None
    widths = rim[half:] - rim[: len(rim) - half]
    start = int(np.argmin(widths))
    width, middle = float(widths[start]), float(rim[start] + rim[start + half]) / 2
    low, high = np.percentile(inside, ENDS)
    level = IntensityBand(middle, middle - AIR_WIDTHS * width, middle + AIR_WIDTHS * width)
    share = level.of(inside).mean()
    if not width <= NARROW * (high - low) or share > 1 - MIN_HEAD:
        return None
    if not outside.any():
        return level
    is_darkest = (inside < level.low).mean() <= MAX_DARKER
    return level if is_darkest and share >= (MIN_SHARE_OF_BOX if _is_box(~outside) else MIN_SHARE) else None


def _rim(outside: np.ndarray) -> np.ndarray:
    """Voxels that are not outside but touch an outside voxel or the border of the volume."""
    border = np.ones(outside.shape, bool)
    border[(slice(1, -1),) * border.ndim] = False
    return (border | _face_neighbors(outside)) & ~outside


def _face_neighbors(mask: np.ndarray) -> np.ndarray:
    """Voxels that share a face with a voxel of the mask."""
    beside = np.zeros(mask.shape, bool)
    for axis in range(mask.ndim):
        moved, start = np.moveaxis(beside, axis, 0), np.moveaxis(mask, axis, 0)
        moved[1:] |= start[:-1]
        moved[:-1] |= start[1:]
    return beside


def _is_box(mask: np.ndarray) -> bool:
    sides = []
    for axis in range(mask.ndim):
        shown = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        sides.append(shown[-1] - shown[0] + 1)
    return bool(mask.sum() >= MIN_BOX_FILL * np.prod(sides))
