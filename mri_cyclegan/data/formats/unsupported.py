"""Image formats that are not read, each with its name and a remedy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.nifti_pair import HEADER_SUFFIXES, PAIR_SUFFIXES, pair_files
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.formats.registry import format_named

_ITK = "Convert it to NIfTI, e.g. with 3D Slicer or SimpleITK."
_DCM2NIIX = "Convert it to NIfTI with dcm2niix."
_DICOM = "Set data=dicom, with one folder for each series, or convert the series to NIfTI with dcm2niix."
_HDF5 = "Write its image to NIfTI with h5py and nibabel; its place in space stands in the metadata, if anywhere."
_NUMPY = "Save the array as NIfTI with nibabel, with the affine of the scan it came from."
_PICTURE = "Save its slices as gray PNG of 8 or 16 bits, or, where the voxel size is known, as NIfTI."
_GUNZIP = "Decompress it with gunzip."

# Suffix to format name and remedy. For formats with several files per image, only the file that describes the image.
UNREAD_SUFFIXES = {
    ".nrrd": ("NRRD", _ITK),
    ".nhdr": ("NRRD", _ITK),
    ".mha": ("MetaImage", _ITK),
    ".mhd": ("MetaImage", _ITK),
    ".h5": ("HDF5", _HDF5),
    ".hdf5": ("HDF5", _HDF5),
    ".npy": ("NumPy", _NUMPY),
    ".npz": ("NumPy", _NUMPY),
    ".tif": ("TIFF", _PICTURE),
    ".tiff": ("TIFF", _PICTURE),
    ".bmp": ("BMP", _PICTURE),
    ".gif": ("GIF", _PICTURE),
    ".webp": ("WebP", _PICTURE),
    ".jp2": ("JPEG 2000", _PICTURE),
    ".mnc": ("MINC", "Convert it to NIfTI with mnc2nii."),
    ".mif": ("MRtrix", "Convert it to NIfTI with mrconvert."),
    ".mif.gz": ("MRtrix", "Convert it to NIfTI with mrconvert."),
    ".head": ("AFNI", "Convert it to NIfTI with 3dAFNItoNIFTI."),
    ".par": ("Philips PAR/REC", _DCM2NIIX),
    ".dcm": ("DICOM", _DICOM),
    ".ima": ("DICOM", _DICOM),
    ".dcm.gz": ("compressed DICOM", _GUNZIP),
    ".ima.gz": ("compressed DICOM", _GUNZIP),
    ".nii.bz2": ("NIfTI in bzip2", "Pack it with gzip instead, as .nii.gz."),
    ".nii.xz": ("NIfTI in xz", "Pack it with gzip instead, as .nii.gz."),
    ".nii.zst": ("NIfTI in Zstandard", "Pack it with gzip instead, as .nii.gz."),
    ".mgh.gz": ("FreeSurfer", "Rename it to .mgz."),
}


def unread_format(name: str) -> tuple[str, str] | None:
    """Return name and remedy of the unread format that a file name's suffix means; None if it is not a known one."""
    found = [suffix for suffix in UNREAD_SUFFIXES if name.lower().endswith(suffix)]
    return UNREAD_SUFFIXES[max(found, key=len)] if found else None


def skipped_image_findings(files: Sequence[Path], read: tuple[str, ...]) -> list[Finding]:
    """Report the image files in one folder that a search for scans skips.

    Args:
        files: all files of the folder.
        read: suffixes of the files that the search takes for scans.

    Returns:
        One finding per header whose voxel file is missing, and one per format that is not read.
    """
    findings: dict[str, list[Finding]] = {}
    for finding in filter(None, (skipped_image_finding(path, read) for path in files)):
        findings.setdefault(finding.problem, []).append(finding)
    return [_with_others(alike) for alike in findings.values()]


def _with_others(alike: list[Finding]) -> Finding:
    first, num_others = alike[0], len(alike) - 1
    more = f" (and {num_others} more in this folder)" if num_others else ""
    return replace(first, problem=first.problem + more)


def skipped_image_finding(path: Path, read: tuple[str, ...]) -> Finding | None:
    """Report an image file that a search for scans skips.

    Args:
        path: any file.
        read: suffixes of the files that the search takes for scans.

    Returns:
        None for a file that is not an image, or is read, by itself or with its voxel file. An error for a header whose
        voxel file is missing; a warning for an image in a format that is not read, or not in this layout. Pictures
        beside volumes are mostly previews and not reported.
    """
    name = path.name.lower()
    if name.endswith(read):
        return None
    if name.endswith(HEADER_SUFFIXES):
        return _lone_header(path) if set(PAIR_SUFFIXES) <= set(read) else None
    if unread := unread_format(name):
        kind, remedy = unread
        return Finding("warning", path, f"left out: {kind} files are not read", remedy)
    found = None if name.endswith(PICTURE_SUFFIXES) else format_named(name)
    if found is None:
        return None
    expected = " or ".join(read) or "folders of DICOM files"
    remedy = f"Expected {expected}: convert it, or choose another layout with data=."
    return Finding("warning", path, f"left out: {found.name} files are not read in this layout", remedy)


def _lone_header(path: Path) -> Finding | None:
    try:
        pair_files(path)
    except UnfitFile as error:
        return error.finding
    return None
