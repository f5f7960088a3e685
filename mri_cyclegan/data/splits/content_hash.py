"""Hash that is equal for runs that train, validate and test on the same data, whatever the file names."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.split import Split
from mri_cyclegan.data.volume import voxel_sizes_mm


def content_hash(split: Split, cache: SliceCache) -> str:
    """Hash the voxels and voxel sizes of all scans, the parts of the split, and the preprocessing.

    Names do not count, only which scans belong to the same subject, session and contrast. The same scans in another
    file format, compressed, or stored in another orientation give the same hash.

    Args:
        split: the split of the subjects.
        cache: the cache of the prepared slices.

    Returns:
        16 hexadecimal digits.
    """
    parts = {"train": split.train_a + split.train_b, "val": split.val, "test": split.test}
    content = {
        "preprocessing": asdict(cache.preprocessing),
        "parts": {part: _subjects(scans, split.contrasts, cache) for part, scans in parts.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _subjects(scans: Sequence[Scan], contrasts: Sequence[str], cache: SliceCache) -> list[Any]:
    """Nested lists of subjects, sessions and scans, sorted by content."""
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for scan in scans:
        found[scan.subject][scan.session].append(_content(scan, contrasts, cache))
    return sorted(sorted(sorted(session) for session in sessions.values()) for sessions in found.values())


def _content(scan: Scan, contrasts: Sequence[str], cache: SliceCache) -> list[Any]:
    record = cache.get(scan).record
    sizes = voxel_sizes_mm(np.array(record["source_affine"]))
    letter = "ab"[list(contrasts).index(scan.contrast)]
    return [letter, record["voxel_hash"], [round(float(size), 4) for size in sizes]]
