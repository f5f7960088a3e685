"""Problems that show only across the scans of a data set: duplicates and mixed file formats."""

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
    """Hash of the voxels in canonical orientation: equal for copies, whatever their name, compression or axis order."""
    orientation = nibabel.io_orientation(volume.affine)
    array = np.ascontiguousarray(nibabel.apply_orientation(volume.array, orientation))
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(array.data)
    return digest.hexdigest()


def find_duplicates(hashes: Mapping[Scan, str]) -> list[Finding]:
    """Return a finding for each scan with the same voxels as an earlier one.

    A copy under another subject (which leaks from training into test) or another contrast is an error. A copy within
    one subject and contrast would double that subject's weight: it is left out with a warning.

    Args:
        hashes: scan to its :func:`voxel_hash`.
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
    """Warn if scans come in several formats, as the software behind each may leave differences that a network learns.

    Args:
        root: folder of the data set.
        scans: all scans of the data set.
    """
    formats = Counter(format_of(scan.path) for scan in scans)
    counts = [f"{count} in {', '.join(one.suffixes)}" for one, count in formats.items() if one and one.suffixes]
    if len(counts) < 2:
        return []
    remedy = "Make sure they were processed alike: FreeSurfer, for one, resamples its files to 1 mm and 8 bits."
    return [Finding("warning", root, f"scans in several file formats: {'; '.join(counts)}", remedy)]
