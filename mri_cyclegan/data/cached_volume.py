"""Prepared slices of one scan, on disk."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.layouts import Scan


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

    def __getstate__(self) -> dict[str, Any]:
        """Open maps stay behind when a volume is sent to a worker process."""
        return {"scan": self.scan, "folder": self.folder}
