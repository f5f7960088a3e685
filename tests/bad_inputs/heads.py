"""Small sound scans: the company a doubtful file is put into."""

import gzip
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

SHAPE = (16, 18, 12)
AFFINE = np.array([[9.0, 0, 0, -67.5], [0, 9, 0, -76.5], [0, 0, 9, -49.5], [0, 0, 0, 1]])
CONTRASTS = ("T1w", "T2w")
SUBJECTS = ("sub-01", "sub-02", "sub-03", "sub-04")


@cache
def head(seed: int = 5, contrast: str = "T1w", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A textured ellipsoid with a core that is dark in T1w and bright in T2w, int16, no two seeds alike."""
    random = np.random.default_rng([seed, contrast == "T2w"])
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij", sparse=True)
    radius = np.sqrt(sum((axis / 0.75) ** 2 for axis in axes))
    image = np.where(radius < 1, 500.0, 0.0) + np.where(radius < 0.5, 100.0 if contrast == "T2w" else -100.0, 0.0)
    return (image + random.normal(20, 10, shape)).clip(1, None).round().astype(np.int16)


def nifti(
    array: np.ndarray | None = None,
    affine: np.ndarray = AFFINE,
    *,
    qform: np.ndarray | None = None,
    kind: type[nibabel.Nifti1Image] = nibabel.Nifti1Image,
    header: nibabel.Nifti1Header | None = None,
) -> bytearray:
    """An uncompressed NIfTI file with sform and qform; the sound head by default.

    Args:
        array: voxels, of the type to store.
        affine: sform.
        qform: the same if not given.
        kind: NIfTI-1 or NIfTI-2.
        header: to start from.
    """
    array = head() if array is None else array
    image = kind(array, affine, header, dtype=array.dtype)
    image.set_sform(affine, 1)
    image.set_qform(affine if qform is None else qform, 1)
    return bytearray(image.to_bytes())


def packed(content: bytes) -> bytes:
    """As ``.gz``, in the same bytes each time."""
    return gzip.compress(content, mtime=0)


@cache
def sound_scan(seed: int, contrast: str) -> bytes:
    """A ``.nii.gz`` file."""
    return packed(nifti(head(seed, contrast)))


def write(path: Path, content: bytes) -> Path:
    """Write a file and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_folder(root: Path) -> None:
    """``T1w/sub-01_T1w.nii.gz`` and so on: four subjects with both contrasts."""
    for seed, subject in enumerate(SUBJECTS):
        for contrast in CONTRASTS:
            write(root / contrast / f"{subject}_{contrast}.nii.gz", sound_scan(seed, contrast))


def write_bids(root: Path) -> None:
    """The same as ``sub-01/anat/sub-01_T1w.nii.gz``."""
    for seed, subject in enumerate(SUBJECTS):
        for contrast in CONTRASTS:
            write(root / subject / "anat" / f"{subject}_{contrast}.nii.gz", sound_scan(seed, contrast))


def picture(seed: int = 5, contrast: str = "T1w") -> np.ndarray:
    """A gray 8-bit picture, (40, 36)."""
    return (head(seed, contrast, (40, 36, 3))[..., 1] // 4).clip(0, 255).astype(np.uint8)


def write_pictures(root: Path) -> None:
    """``T1w/sub-01.png`` and so on."""
    for seed, subject in enumerate(SUBJECTS):
        for contrast in CONTRASTS:
            path = root / contrast / f"{subject}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(seed, contrast)).save(path)
