"""Resamples a scan onto the slices of another scan of the same head."""

from typing import Any

import numpy as np

from mri_cyclegan.data.aligned import align, grid_of, on_grid
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.grids import Grid, inside_field_of_view
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.data.volume import ReadOptions


def resampled_slices(
    moving: CachedVolume, fixed: CachedVolume, rule: str, options: ReadOptions
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Resample a scan onto the grid of another scan's slices, with one interpolation from the original file.

    Args:
        moving: cached slices of the scan to resample.
        fixed: cached slices that define the grid.
        rule: see :data:`mri_cyclegan.data.pairs.RULES`.
        options: how to read incomplete, ambiguous or unusual files.

    Returns:
        ``slices`` (N, H, W) float32 in [-1, 1], ``foreground`` and ``common`` (inside both fields of view), (N, H, W)
        bool; and the record, see :attr:`CachedVolume.record`, with ``alignment``, see
        :meth:`mri_cyclegan.data.aligned.Aligned.as_json`.

    Raises:
        UnfitFile: the two show no common head.
    """
    scaled_fixed, scaled = (read_scaled(volume.scan.path, options)[0] for volume in (fixed, moving))
    aligned = align(scaled_fixed, scaled, rule, fixed.scan.path, moving.scan.path)
    grid = _grid(fixed)
    array, foreground = on_grid(aligned.b, grid)
    common = inside_field_of_view(grid_of(aligned.b), grid) & inside_field_of_view(grid_of(scaled_fixed), grid)
    alignment = aligned.as_json()
    record = {
        "shape": list(array.shape),
        "source_shape": list(aligned.b.array.shape),
        "source_affine": aligned.b.affine.tolist(),
        "affine": grid.affine.tolist(),
        "intensity_low": scaled.low,
        "intensity_high": scaled.high,
        "foreground_share": foreground.mean(axis=(1, 2)).tolist(),
        # The hash names the rule, so that runs are compared only if they were validated on the same alignment.
        "voxel_hash": moving.record["voxel_hash"] + (f"+{rule}" if alignment else ""),
        "alignment": alignment,
    }
    slices = np.ascontiguousarray(2 * array - 1, dtype=np.float32)
    return {"slices": slices, "foreground": np.ascontiguousarray(foreground), "common": common}, record


def _grid(volume: CachedVolume) -> Grid:
    return Grid(volume.record["shape"], np.array(volume.record["affine"]))
