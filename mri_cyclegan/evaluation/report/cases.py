"""Pictures of single subjects for the report: the worst, the median and the best case."""

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image
from skimage.transform import resize_local_mean

from mri_cyclegan.data.cached_volume import HEAD_SHARE
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.subjects.images import SubjectImages

# Largest panel, (rows, columns) in pixels; larger slices are averaged down to it.
MAX_PANEL = (192, 256)
# A small slice is enlarged by a whole factor, the largest that exceeds MAX_PANEL by no more than this factor.
MAX_OVERSIZE = 1.125

# Errors of at least this size get the last color of the map.
MAX_ERROR = 0.5
ERROR_COLORS = "inferno"

# Output brighter than this outside the head is not noise, so it must not be cropped away.
VISIBLE = 0.15
# Margin around the head, as a share of its size.
MARGIN = 0.06

# About 20 kB for four panels of 192 × 192; JPEG of the same quality takes 50 % more and tints gray.
WEBP_QUALITY = 85


@dataclass(frozen=True)
class Case:
    """One subject shown in the report, in one direction.

    Attributes:
        label: ``"worst"``, ``"median"`` or ``"best"``; empty without a pair.
        subject: name of the subject.
        ssim: foreground SSIM of the model's output; None without a pair.
        slice_numbers: 0-based index of each slice in the volume.
        slices: :func:`picture_strip` of each slice, as a data URI.
    """

    label: str
    subject: str
    ssim: float | None
    slice_numbers: list[int]
    slices: list[str]


def slice_strips(images: SubjectImages, max_slices: int = 24) -> tuple[list[int], list[str]]:
    """Picture strips of evenly spaced slices that show the head, all cropped to the same window around it.

    Args:
        images: images of one subject.
        max_slices: largest number of slices.

    Returns:
        The slices' 0-based indices in ascending order, and their strips.
    """
    shown = np.flatnonzero(images.foreground.mean(axis=(1, 2)) > HEAD_SHARE)
    if not len(shown):
        shown = np.arange(len(images.foreground))
    numbers: list[int] = shown[evenly_spaced(len(shown), max_slices)].tolist()
    worth_seeing = images.foreground | (images.output > VISIBLE)
    if images.source_foreground is not None:
        worth_seeing |= images.source_foreground
    rows, columns = _crop_window(np.asarray(worth_seeing[numbers].any(axis=0)))
    strips = []
    for number in numbers:
        source, output, target = (
            None if array is None else array[number, rows, columns]
            for array in (images.source, images.output, images.target)
        )
        assert output is not None
        strips.append(picture_strip(source, output, target, images.spacing_mm[1:]))
    return numbers, strips


def picture_strip(
    source: np.ndarray | None,
    output: np.ndarray,
    target: np.ndarray | None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> str:
    """Source, output, truth and error of one slice side by side; missing ones are left out.

    The gray panels share the intensity window [0, 1]; the error |output − target| has the window [0, 0.5].

    Args:
        source: (H, W), in [0, 1], row 0 at the top; None if there is no source.
        output: (H, W), in [0, 1].
        target: (H, W), in [0, 1]; None without a pair, then there is no error panel.
        spacing_mm: distance between neighboring rows and columns.

    Returns:
        Data URI of a WebP picture whose panels have equal widths.
    """
    panels = [] if source is None else [_gray(source, spacing_mm)]
    panels.append(_gray(output, spacing_mm))
    if target is not None:
        error = _resized(np.abs(output - target), spacing_mm) / MAX_ERROR
        panels += [_gray(target, spacing_mm), _as_bytes(matplotlib.colormaps[ERROR_COLORS](error.clip(0, 1))[..., :3])]
    content = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(content, "WEBP", quality=WEBP_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def error_colors(num_colors: int = 17) -> list[str]:
    """Evenly spaced colors of the error map from 0 to :data:`MAX_ERROR`, such as ``"#000004"``."""
    return [to_hex(color) for color in matplotlib.colormaps[ERROR_COLORS](np.linspace(0, 1, num_colors))]


def _crop_window(shown: np.ndarray) -> tuple[slice, ...]:
    """Rows and columns of the bounding box of a 2-D mask plus a margin; everything if the mask is empty."""
    window = []
    for size, seen in zip(shown.shape, (shown.any(axis=1), shown.any(axis=0)), strict=True):
        first, last = np.flatnonzero(seen)[[0, -1]] if seen.any() else (0, size - 1)
        margin = round(MARGIN * (last - first + 1))
        window.append(slice(max(0, first - margin), last + margin + 1))
    return tuple(window)


def _gray(picture: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    return np.repeat(_as_bytes(_resized(picture, spacing_mm))[..., None], 3, axis=2)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(values.clip(0, 1) * 255).astype(np.uint8)


def _resized(picture: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Resample to square pixels, each the mean of the area it covers; enlarging by a whole factor repeats pixels."""
    rows, columns = np.array(picture.shape) * spacing_mm / min(spacing_mm)
    factor = min(MAX_PANEL[0] / rows, MAX_PANEL[1] / columns)
    if factor >= 1:
        factor = float(int(factor * MAX_OVERSIZE))
    size = tuple(max(1, round(side * factor)) for side in (rows, columns))
    return resize_local_mean(picture.astype(np.float64), size)
