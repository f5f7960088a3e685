"""What makes the scans of a data set unfit together, where each by itself is fit."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.volume import Volume


def voxel_hash(volume: Volume) -> str:
    """Hash of the voxels in canonical orientation: equal for copies, however they are named, packed or stored."""
    orientation = nibabel.io_orientation(volume.affine)
    array = np.ascontiguousarray(nibabel.apply_orientation(volume.array, orientation))
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(array.data)
    return digest.hexdigest()


def find_duplicates(hashes: Mapping[Scan, str]) -> list[Finding]:
    """An error for each scan whose voxels another one has, which comes before it.

    The same scan under two names leaks from training into test, and gives a subject two weights.

    Args:
        hashes: scan to what :func:`voxel_hash` gives.
    """
    first: dict[str, Path] = {}
    findings = []
    for scan in sorted(hashes):
        original = first.setdefault(hashes[scan], scan.path)
        if original != scan.path:
            findings.append(Finding("error", scan.path, f"the same voxels as {original}", "Remove one of the two."))
    return findings
