"""Where the voxels of a NIfTI file lie."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.volume import ReadOptions

# How far rounding may take a quaternion's squared length beyond 1: its rotation is still known to half a degree.
QUATERNION_EXCESS = 2e-5


def voxel_affine(
    path: Path, header: nibabel.Nifti1Header, shape: tuple[int, int, int], options: ReadOptions
) -> tuple[np.ndarray, list[Finding]]:
    """Voxels to RAS+ mm: the sform if it is set, else the qform, else what the user assumes; and what is doubtful.

    Raises:
        UnfitFile: there is none, or it is broken.
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
    elif options.assume_orientation:
        affine = _assumed_affine(options.assume_orientation, spacing, shape)
        problem = f"neither sform nor qform is set; {options.assume_orientation} is assumed"
        warnings.append(Finding("warning", path, problem, "Compare a picture of it with one whose sides you know."))
    else:
        remedy = "Convert the scan again from its source, or set data.assume_orientation, for example to RAS."
        raise UnfitFile(path, "neither sform nor qform is set, so left and right are unknown", remedy)
    if not _is_invertible(affine):
        problem = "the affine is singular or not finite, so voxel positions are unknown"
        raise UnfitFile(path, problem, "Convert it again.")
    affine = np.asarray(affine, dtype=np.float64)
    num_axes = min(3, int(header["dim"][0]))
    return affine, warnings + _doubts(path, affine, qform, spacing[:num_axes], shape)


def _is_invertible(affine: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        is_straight = abs(np.linalg.det(affine[:3, :3])) > 1e-3 * np.prod(lengths)
        return bool(np.isfinite(affine).all() and lengths.min() > 1e-6 and is_straight)


def _spacing(path: Path, header: nibabel.Nifti1Header) -> np.ndarray:
    num_axes = min(3, int(header["dim"][0]))
    spacing = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(spacing[:num_axes]).all() and (spacing[:num_axes] > 0).all()):
        problem = f"voxel sizes {tuple(map(float, spacing[:num_axes]))} mm in pixdim; expected numbers above 0"
        raise UnfitFile(path, problem, "Convert it again.")
    spacing[~(np.isfinite(spacing) & (spacing > 0))] = 1.0  # axes that do not exist often say 0
    header["pixdim"][1:4] = spacing
    return spacing


def _qform(path: Path, header: nibabel.Nifti1Header) -> np.ndarray:
    if header["pixdim"][0] == 0:  # old files: the standard takes it for 1
        header["pixdim"][0] = 1
    _shorten_quaternion(header)
    try:
        qform = header.get_qform()
    except (HeaderDataError, ValueError) as error:
        raise UnfitFile(path, f"the qform's quaternion is invalid ({error})", "Convert it again.") from error
    if not np.isfinite(qform).all():
        raise UnfitFile(path, "the qform's quaternion is not finite", "Convert it again.")
    return qform


def _shorten_quaternion(header: nibabel.Nifti1Header) -> None:
    """Make a quaternion that rounding made too long a unit one: its scalar part, which is not stored, is then 0."""
    fields = ("quatern_b", "quatern_c", "quatern_d")
    vector = np.array([header[field] for field in fields], dtype=np.float64)
    with np.errstate(over="ignore"):
        squared_length = float(vector @ vector)
    if 1 < squared_length <= 1 + QUATERNION_EXCESS:
        for field, value in zip(fields, vector / np.sqrt(squared_length), strict=True):
            header[field] = value


def _assumed_affine(codes: str, spacing: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, code in enumerate(codes):
        row = next(index for index, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[row, axis] = spacing[axis] * (1 if code in "RAS" else -1)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def _doubts(
    path: Path, affine: np.ndarray, qform: np.ndarray | None, spacing: np.ndarray, shape: tuple[int, ...]
) -> list[Finding]:
    doubts = []
    if qform is not None:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], (1,))).reshape(4, -1)
        with np.errstate(over="ignore"):
            apart = float(np.linalg.norm(((affine - qform) @ corners)[:3], axis=0).max())
        if apart > 0.1:
            problem = f"sform and qform disagree by up to {apart:.1f} mm; the sform is used"
            doubts.append((problem, "Harmless after a registration; else convert it again."))
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    existing = lengths[: len(spacing)]
    if not np.allclose(existing, spacing, rtol=0.02):
        problem = f"pixdim says {_by(spacing)} mm, the affine {_by(existing)} mm; the affine is used"
        doubts.append((problem, "Convert it again, or correct pixdim."))
    if lengths.min() < 0.05 or lengths.max() > 20:
        doubts.append((f"voxels of {_by(lengths)} mm are no plausible head scan", "Check the units in its header."))
    axes = affine[:3, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-2:
        doubts.append(("the affine is sheared; slices keep the shear", "Resample it onto a straight grid."))
    return [Finding("warning", path, problem, remedy) for problem, remedy in doubts]


def _by(sizes: np.ndarray) -> str:
    return " × ".join(f"{size:.3g}" for size in sizes)
