"""Prepared slices of one scan, on disk."""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts import Scan

# What numpy.save writes before the data of such arrays.
NPY_HEADER_BYTES = 128


@dataclass(frozen=True)
class CachedVolume:
    """Slices of one scan, read from disk as they are used.

    Attributes:
        scan: where they come from.
        folder: where they lie.
    """

    scan: Scan
    folder: Path

    @cached_property
    def slices(self) -> np.ndarray:
        """(N, H, W) float32, in [-1, 1], memory-mapped."""
        return np.load(self.folder / "slices.npy", mmap_mode="r")

    @cached_property
    def foreground(self) -> np.ndarray:
        """(N, H, W) bool, memory-mapped."""
        return np.load(self.folder / "foreground.npy", mmap_mode="r")

    @cached_property
    def record(self) -> dict[str, Any]:
        """See :class:`mri_cyclegan.data.transforms.PreparedVolume`; also ``foreground_share`` of each slice."""
        return json.loads((self.folder / "record.json").read_text())

    @property
    def warnings(self) -> list[Finding]:
        """What is doubtful about the scan's file."""
        return [replace(Finding.from_json(content), path=self.scan.path) for content in self.record.get("warnings", [])]

    def is_complete(self) -> bool:
        """Whether every file is there at its full length."""
        try:
            num_pixels = math.prod(self.record["shape"])
            sizes = [(self.folder / name).stat().st_size for name in ("slices.npy", "foreground.npy")]
        except (OSError, ValueError, KeyError):
            return False
        return sizes == [NPY_HEADER_BYTES + 4 * num_pixels, NPY_HEADER_BYTES + num_pixels]

    def __getstate__(self) -> dict[str, Any]:
        """Open maps stay behind when a volume is sent to a worker process."""
        return {"scan": self.scan, "folder": self.folder}
