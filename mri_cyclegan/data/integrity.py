"""What makes the scans of a data set unfit together, where each by itself is fit."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import nibabel
import numpy as np

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.registry import format_of
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
    """A finding for each scan whose voxels another one has, which comes before it.

    The same scan of two subjects leaks from training into test: an error. Of one subject it gives that subject two
    weights: a warning, and it is left out.

    Args:
        hashes: scan to what :func:`voxel_hash` gives.
    """
    first: dict[str, Scan] = {}
    findings = []
    for scan in sorted(hashes):
        original = first.setdefault(hashes[scan], scan)
        problem = f"the same voxels as {original.path}"
        if (original.subject, original.contrast) != (scan.subject, scan.contrast):
            findings.append(Finding("error", scan.path, problem, "Remove one of the two."))
        elif original != scan:
            findings.append(Finding("warning", scan.path, f"{problem}, of the same subject", "It is left out."))
    return findings


def find_mixed_formats(root: Path, scans: Iterable[Scan]) -> list[Finding]:
    """A warning where scans come in several formats: what wrote them may have changed them, and a network learns that.

    Args:
        root: folder of the data set.
        scans: all of it.
    """
    formats = Counter(format_of(scan.path) for scan in scans)
    counts = [f"{count} in {', '.join(one.suffixes)}" for one, count in formats.items() if one and one.suffixes]
    if len(counts) < 2:
        return []
    remedy = "Make sure they were processed alike: FreeSurfer, for one, resamples its files to 1 mm and 8 bits."
    return [Finding("warning", root, f"scans in several file formats: {'; '.join(counts)}", remedy)]
