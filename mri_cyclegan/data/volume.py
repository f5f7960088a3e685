"""One image file to one volume in memory and back.

NIfTI is read with nibabel alone: readers that guess, repair or fall back accept broken files silently.
"""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from PIL import Image

NIFTI_SUFFIXES = (".nii", ".nii.gz")
PNG_SUFFIXES = (".png",)

# A picture is one axial slice seen from below, anterior at the top, with square pixels of 1 mm for want of a better
# number: axis 0 runs to Superior, rows run to Posterior, columns to Left.
PICTURE_AFFINE = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Volume:
    """A 3-D image and its place in space.

    Attributes:
        array: (X, Y, Z) float32, in the file's own intensity units.
        affine: (4, 4) float64, voxel indices to RAS+ millimetres.
    """

    array: np.ndarray
    affine: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each array axis, in mm."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))


def read_volume(path: str | Path, volume_index: int | None = None) -> Volume:
    """Read a NIfTI file or a grey PNG.

    Args:
        path: ``.nii``, ``.nii.gz`` or ``.png``. A PNG, 8 or 16 bit, becomes a volume of one slice, (1, H, W).
        volume_index: which 3-D volume of a 4-D NIfTI file to take.

    Raises:
        ValueError: the file is missing, broken, or not one grey 3-D image; the message names it and says what to do.
    """
    path = Path(path)
    if path.name.endswith(NIFTI_SUFFIXES):
        volume = _read_nifti(path, volume_index)
    elif path.name.lower().endswith(PNG_SUFFIXES):
        volume = _read_png(path)
    else:
        raise ValueError(f"{path}: unknown file type; expected {', '.join(NIFTI_SUFFIXES + PNG_SUFFIXES)}.")
    num_nonfinite = int(np.count_nonzero(~np.isfinite(volume.array)))
    if num_nonfinite:
        raise ValueError(f"{path}: {num_nonfinite} voxels are NaN or infinite. Repair or remove the file.")
    return volume


def _read_nifti(path: Path, volume_index: int | None) -> Volume:
    try:
        image = nibabel.load(path)
    except (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: cannot be read as NIfTI ({error}). Convert or download it again.") from error
    if not isinstance(image, nibabel.Nifti1Image):
        raise ValueError(f"{path}: holds {type(image).__name__}, expected NIfTI. Convert it to .nii.gz.")
    if image.get_data_dtype().kind not in "iuf":
        raise ValueError(f"{path}: voxels are {image.get_data_dtype()}, expected real grey values.")
    _check_orientation(path, image)
    needs_index = _needs_index(path, image, volume_index)
    try:
        array = np.asanyarray(image.dataobj[..., volume_index] if needs_index else image.dataobj)
    except (OSError, EOFError, zlib.error, ValueError, MemoryError) as error:
        raise ValueError(f"{path}: voxel data is truncated or broken ({error}). Download it again.") from error
    array = array.reshape(image.shape[:3] + (1,) * (3 - min(3, len(image.shape))))
    return Volume(np.ascontiguousarray(array, dtype=np.float32), np.asarray(image.affine, dtype=np.float64))


def _needs_index(path: Path, image: nibabel.Nifti1Image, volume_index: int | None) -> bool:
    shape = image.shape
    if min(shape, default=0) < 1:
        raise ValueError(f"{path}: dimensions {shape}; expected one 3-D volume.")
    if all(size == 1 for size in shape[3:]):
        return False
    if len(shape) != 4:
        raise ValueError(f"{path}: {len(shape)}-D image {shape}; expected one 3-D volume.")
    if volume_index is None:
        raise ValueError(
            f"{path}: 4-D image {shape}; expected one 3-D volume. "
            "Set data.volume_index to choose one, or split the file (e.g. with fslsplit)."
        )
    if not 0 <= volume_index < shape[3]:
        raise ValueError(f"{path}: data.volume_index={volume_index}, but the file holds volumes 0 to {shape[3] - 1}.")
    return True


def _check_orientation(path: Path, image: nibabel.Nifti1Image) -> None:
    if image.header["sform_code"] == 0 and image.header["qform_code"] == 0:
        raise ValueError(
            f"{path}: neither sform nor qform is set, so left and right are unknown. "
            "Convert the scan again from its source, or set its sform."
        )
    affine = image.affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-6:
        raise ValueError(f"{path}: the affine is singular or not finite; voxel positions are unknown.")


def _read_png(path: Path) -> Volume:
    try:
        with Image.open(path) as picture:
            # Of 16-bit pictures that are not plain grey Pillow hands out the high bytes alone.
            squeezed = picture.mode != "I;16" and any(str(tile.args).endswith(";16B") for tile in picture.tile)
            picture.load()
            mode = picture.mode
            resolved = picture.convert("RGBA") if mode in ("P", "PA") else picture
            array = np.asarray(resolved)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as PNG ({error}). Export it again.") from error
    if squeezed:
        raise ValueError(f"{path}: 16-bit picture with colours or transparency. Export the scan as plain 16-bit grey.")
    if mode == "1":
        raise ValueError(f"{path}: black-and-white picture; expected a grey image.")
    if array.ndim == 3:
        colours = array[..., : 1 if mode == "LA" else 3]
        if (colours != colours[..., :1]).any():
            raise ValueError(f"{path}: colour picture ({mode}); expected grey. Export the scan as 8- or 16-bit grey.")
        array = colours[..., 0]
    return Volume(np.ascontiguousarray(array[None], dtype=np.float32), PICTURE_AFFINE)


def write_volume(path: str | Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file that appears whole or not at all.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``; replaced if it exists.
        array: (X, Y, Z), of the dtype to store.
        affine: (4, 4), voxel indices to RAS+ mm.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    try:
        nibabel.save(image, partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
