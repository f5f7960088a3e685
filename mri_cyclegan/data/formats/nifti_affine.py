"""Affine of a NIfTI file, from its sform or qform."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.affine import affine_warnings, assumed_affine, format_spacing, require_invertible
from mri_cyclegan.data.volume import ReadOptions

# How much rounding may push a quaternion's squared length above 1; the rotation is still accurate to half a degree.
MAX_SQUARED_LENGTH_EXCESS = 2e-5


def voxel_affine(
    path: Path,
    header: nibabel.Nifti1Header,
    shape: tuple[int, int, int],
    options: ReadOptions,
    missing_orientation_reason: str = "neither sform nor qform is set",
) -> tuple[np.ndarray, list[Finding]]:
    """Return the affine to RAS+ mm (sform, else qform, else ``assume_orientation``) and warnings about it.

    Args:
        path: the file, for messages.
        header: header as nibabel reads it.
        shape: shape of the volume.
        options: ``assume_orientation`` is used if neither is set.
        missing_orientation_reason: why neither is set, as a clause for messages.

    Raises:
        UnfitFile: the affine is unknown or broken.
    """
    spacing = _spacing(path, header)
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    qform, warnings = None, []
    if has_qform:
        try:
            qform = _qform(path, header)
        except UnfitFile as error:
            if not has_sform:
                raise
            problem = f"{error.finding.problem}; the sform is used"
            warnings.append(Finding("warning", path, problem, "Harmless here; other programs may need the qform."))
    if has_sform:
        affine = header.get_sform()
    elif qform is not None:
        affine = qform
    else:
        affine, warning = assumed_affine(path, missing_orientation_reason, spacing, shape, options)
        warnings.append(warning)
    require_invertible(path, affine)
    affine = np.asarray(affine, dtype=np.float64)
    num_axes = min(3, int(header["dim"][0]))
    warnings += _disagreements(path, affine, qform, spacing[:num_axes], shape)
    return affine, warnings + affine_warnings(path, affine)


def _spacing(path: Path, header: nibabel.Nifti1Header) -> np.ndarray:
    num_axes = min(3, int(header["dim"][0]))
    spacing = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(spacing[:num_axes]).all() and (spacing[:num_axes] > 0).all()):
        problem = f"voxel sizes {tuple(map(float, spacing[:num_axes]))} mm in pixdim; expected numbers above 0"
        raise UnfitFile(path, problem, "Convert it again.")
    spacing[~(np.isfinite(spacing) & (spacing > 0))] = 1.0  # missing axes often have 0
    header["pixdim"][1:4] = spacing
    return spacing


def _qform(path: Path, header: nibabel.Nifti1Header) -> np.ndarray:
    if header["pixdim"][0] == 0:  # old files: the standard treats it as 1
        header["pixdim"][0] = 1
    _normalize_quaternion(header)
    try:
        qform = header.get_qform()
    except (HeaderDataError, ValueError) as error:
        raise UnfitFile(path, f"the qform's quaternion is invalid ({error})", "Convert it again.") from error
    if not np.isfinite(qform).all():
        raise UnfitFile(path, "the qform's quaternion is not finite", "Convert it again.")
    return qform


def _normalize_quaternion(header: nibabel.Nifti1Header) -> None:
    """Normalize a quaternion that rounding made too long: its scalar part, which is not stored, is then 0."""
    fields = ("quatern_b", "quatern_c", "quatern_d")
    vector = np.array([header[field] for field in fields], dtype=np.float64)
    with np.errstate(over="ignore"):
        squared_length = float(vector @ vector)
    if 1 < squared_length <= 1 + MAX_SQUARED_LENGTH_EXCESS:
        for field, value in zip(fields, vector / np.sqrt(squared_length), strict=True):
            header[field] = value


def _disagreements(
    path: Path, affine: np.ndarray, qform: np.ndarray | None, spacing: np.ndarray, shape: tuple[int, ...]
) -> list[Finding]:
    warnings = []
    if qform is not None:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], (1,))).reshape(4, -1)
        with np.errstate(over="ignore"):
            apart = float(np.linalg.norm(((affine - qform) @ corners)[:3], axis=0).max())
        if apart > 0.1:
            problem = f"sform and qform disagree by up to {apart:.1f} mm; the sform is used"
            warnings.append((problem, "Harmless after a registration; else convert it again."))
    existing = np.linalg.norm(affine[:3, :3], axis=0)[: len(spacing)]
    if not np.allclose(existing, spacing, rtol=0.02):
        problem = (
            f"pixdim says {format_spacing(spacing)} mm, the affine {format_spacing(existing)} mm; the affine is used"
        )
        warnings.append((problem, "Convert it again, or correct pixdim."))
    return [Finding("warning", path, problem, remedy) for problem, remedy in warnings]
