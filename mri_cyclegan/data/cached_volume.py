"""Prepared slices of one scan, on disk."""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.grids import Grid, grid_difference, relative_orientation
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.windows import cropped_affine

# Size of the header that numpy.save writes for these arrays.
NPY_HEADER_BYTES = 128

# A slice shows the head if the foreground covers more than this share of its pixels.
HEAD_SHARE = 0.02


@dataclass(frozen=True)
class CachedVolume:
    """Slices of one scan, read from disk on demand.

    The files hold the whole field of view, but only a window of it is read: the scan's own, placed on its head, or that
    of another scan on the same grid, so that both show the same part of the head.

    No file stays open or memory-mapped between reads, so a data set may have more volumes than a process may open
    files, and memory does not grow with the amount read.

    Attributes:
        scan: the scan that the slices come from.
        folder: folder of the slice files.
        window: first row and column of the window; None for the scan's own.
    """

    scan: Scan
    folder: Path
    window: tuple[int, int] | None = None

    @cached_property
    def record(self) -> dict[str, Any]:
        """Record of :class:`mri_cyclegan.data.transforms.PreparedVolume`, with the slice cache's additions.

        ``shape`` and ``affine`` are those of the window, ``field_shape`` is (H, W) of the whole field of view;
        ``foreground_share`` is given for each slice; ``appearance``, see :mod:`mri_cyclegan.data.appearance`.
        """
        record = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        record = {"window": [0, 0], "field_shape": record["shape"][1:]} | record  # without a window: all of it
        if self.window is None:
            return record
        rows, columns = np.subtract(self.window, record["window"])
        affine = cropped_affine(record["affine"], rows, columns)
        return record | {"window": list(self.window), "affine": affine.tolist()}

    def with_window_of(self, other: Self) -> Self:
        """The same slices, cropped to the window of another scan on the same grid."""
        return replace(self, window=tuple(other.record["window"]))

    def cropped_like(self, other: Self) -> Self | None:
        """The same slices cropped to another scan's window, or None if equal indices would not show the same place."""
        if self.record["field_shape"] != other.record["field_shape"]:
            return None
        cut = self.with_window_of(other)
        grids = [Grid(volume.record["shape"], np.array(volume.record["affine"])) for volume in (other, cut)]
        in_order = np.array_equal(relative_orientation(*grids), [[0, 1], [1, 1], [2, 1]])
        return cut if in_order and not grid_difference(*grids) else None

    @property
    def warnings(self) -> list[Finding]:
        """Warnings about the scan's file."""
        return [replace(Finding.from_json(content), path=self.scan.path) for content in self.record.get("warnings", [])]

    def is_complete(self) -> bool:
        """Whether every file exists at its full length."""
        try:
            num_pixels = self.num_slices * math.prod(self.record["field_shape"])
            masks = ("foreground.npy", "common.npy") if self.is_resampled else ("foreground.npy",)
            sizes = [(self.folder / name).stat().st_size for name in ("slices.npy", *masks)]
        except (OSError, ValueError, KeyError):
            return False
        return sizes == [NPY_HEADER_BYTES + 4 * num_pixels, *(NPY_HEADER_BYTES + num_pixels for _ in masks)]

    @property
    def is_resampled(self) -> bool:
        """Whether the slices are resampled onto another scan, see :mod:`mri_cyclegan.data.resampled_slices`."""
        return "alignment" in self.record

    @property
    def num_slices(self) -> int:
        """Number of slices."""
        return self.record["shape"][0]

    @property
    def shown_slices(self) -> np.ndarray:
        """Indices of the slices that show the head."""
        return np.flatnonzero(np.array(self.record["foreground_share"]) > HEAD_SHARE)

    @property
    def relative_heights(self) -> np.ndarray:
        """Relative height of each slice in the head, (N,), from 0 at the first slice that shows it to 1 at the last.

        Slices before the first have 0 and those after the last have 1; all have NaN if fewer than two slices show the
        head, because their height is then unknown.
        """
        shown = self.shown_slices
        if len(shown) < 2:
            return np.full(self.num_slices, np.nan)
        return ((np.arange(self.num_slices) - shown[0]) / (shown[-1] - shown[0])).clip(0, 1)

    @property
    def slices(self) -> np.ndarray:
        """All slices, (N, H, W) float32, in [-1, 1], read from disk at each access."""
        return self._read("slices.npy", np.float32, 0, self.num_slices)

    @property
    def foreground(self) -> np.ndarray:
        """Foreground masks of all slices, (N, H, W) bool, read from disk at each access."""
        return self._read("foreground.npy", np.bool_, 0, self.num_slices)

    def stack(self, index: int, num_adjacent: int) -> np.ndarray:
        """A slice with its neighbors; the first and last slice of the volume are repeated beyond its ends.

        Args:
            index: slice number.
            num_adjacent: neighbors on either side, k.

        Returns:
            (2k + 1, H, W) float32, in [-1, 1].
        """
        first, last = max(0, index - num_adjacent), min(self.num_slices - 1, index + num_adjacent)
        slices = self._read("slices.npy", np.float32, first, last + 1)
        if len(slices) == 2 * num_adjacent + 1:
            return slices
        wanted = np.arange(index - num_adjacent, index + num_adjacent + 1)
        return slices[wanted.clip(first, last) - first]

    def foreground_slice(self, index: int) -> np.ndarray:
        """Foreground mask of one slice, (H, W) bool."""
        return self._read("foreground.npy", np.bool_, index, index + 1)[0]

    def common_fov_slice(self, index: int) -> np.ndarray:
        """Where one slice lies in the field of view of both the resampled scan and its reference scan, (H, W) bool."""
        return self._read("common.npy", np.bool_, index, index + 1)[0]

    def _read(self, name: str, dtype: type[np.generic], start: int, stop: int) -> np.ndarray:
        """Read only slices ``start`` to ``stop`` (exclusive) of an array in the folder, cropped to the window."""
        height, width = self.record["field_shape"]
        offset = NPY_HEADER_BYTES + start * height * width * np.dtype(dtype).itemsize
        try:
            values = np.fromfile(self.folder / name, dtype, (stop - start) * height * width, offset=offset)
            return self._cut(values.reshape(stop - start, height, width))
        except (OSError, ValueError) as error:
            raise OSError(
                f"{self.folder / name}: the prepared slices of {self.scan.path} are gone or damaged ({error}). "
                "They are prepared again when the command is repeated"
            ) from error

    def _cut(self, field: np.ndarray) -> np.ndarray:
        (_, height, width), (row, column) = self.record["shape"], self.record["window"]
        return np.ascontiguousarray(field[:, row : row + height, column : column + width])
