"""From a volume to slices a network can take."""

import math
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation, ResizeWithPadOrCrop, Spacing
from scipy import ndimage

from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.volume import Volume

# Larger slices are no scan of a head.
MAX_IMAGE_SIZE = 2048

# Axis codes of (slice, row, column). Pictures stand upright: anterior or superior at the top, radiological sides.
PLANES = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}


@dataclass(frozen=True)
class PreparedVolume:
    """A volume as the networks see it.

    Attributes:
        slices: (N, H, W) float32, in [-1, 1], background -1.
        foreground: (N, H, W) bool.
        record: how it was made, plain JSON values: ``source_shape``, ``source_affine``, ``affine`` of the slices,
            ``intensity_low`` and ``intensity_high`` (the source values of -1 and 1), ``foreground_lost`` (share of
            the foreground cropped away).
    """

    slices: np.ndarray
    foreground: np.ndarray
    record: dict[str, Any]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to every volume, training or not.

    Intensities are scaled per volume, never per slice: the foreground's 0.5th and 99.5th percentiles become -1
    and 1, values beyond are clipped. The distance between slices stays as it was acquired.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        spacing_mm: pixel size in the plane; None makes the field of view fit ``image_size``.
        image_size: sides of the square slices, in pixels; larger slices are cropped, smaller ones padded.
    """

    plane: str
    spacing_mm: float | None
    image_size: int

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise ValueError(f"data.plane: expected one of {', '.join(PLANES)}, got {self.plane!r}.")
        if self.spacing_mm is not None and not self.spacing_mm > 0:
            raise ValueError(f"data.spacing_mm: expected millimetres above 0, or null; got {self.spacing_mm}.")
        if not 8 <= self.image_size <= MAX_IMAGE_SIZE:
            raise ValueError(f"data.image_size: expected 8 to {MAX_IMAGE_SIZE} pixels, got {self.image_size}.")

    def __call__(self, volume: Volume) -> PreparedVolume:
        """Prepare one volume.

        Raises:
            ValueError: the volume is constant; the caller adds the file's name.
        """
        return self.slices_of(scale_intensities(volume))

    def slices_of(self, scaled: ScaledVolume) -> PreparedVolume:
        """Slices of a volume that is scaled already."""
        image = self._resample(_with_affine(2 * scaled.array - 1, scaled.affine), mode="bilinear")
        image = self._fit(image, background=-1.0)
        mask = _with_affine(scaled.foreground.astype(np.float32), scaled.affine)
        resampled = self._resample(mask, mode="nearest")
        kept = self._fit(resampled, background=0.0)
        return PreparedVolume(
            # In C order, whatever the order of the volume: single slices are read from the file that this becomes.
            slices=np.ascontiguousarray(image[0].numpy(), dtype=np.float32),
            foreground=np.ascontiguousarray(kept[0].numpy() > 0.5),
            record={
                "source_shape": list(scaled.array.shape),
                "source_affine": scaled.affine.tolist(),
                "affine": image.affine.tolist(),
                "intensity_low": scaled.low,
                "intensity_high": scaled.high,
                "foreground_lost": 1.0 - float(kept.sum() / max(1.0, float(resampled.sum()))),
            },
        )

    def slice_axis(self, affine: np.ndarray) -> int:
        """Axis of a volume along which the slices of the plane lie on each other."""
        world_axis = {"axial": 2, "coronal": 1, "sagittal": 0}[self.plane]
        return int(np.argmax(nibabel.io_orientation(affine)[:, 0] == world_axis))

    def num_slices(self, shape: tuple[int, ...], affine: np.ndarray) -> int:
        """Slices of a volume in the plane."""
        return shape[self.slice_axis(affine)]

    def num_pixels(self, shape: tuple[int, ...], affine: np.ndarray) -> int:
        """Pixels of a volume's slices while they are made: resampled, but not cropped yet."""
        sides_mm = np.delete(nibabel.affines.voxel_sizes(affine) * shape, self.slice_axis(affine))
        spacing_mm = self.spacing_mm or float(sides_mm.max()) / self.image_size
        resampled = math.prod(math.ceil(side / spacing_mm) for side in sides_mm)
        return self.num_slices(shape, affine) * max(resampled, self.image_size**2)

    def num_bytes(self, shape: tuple[int, int, int], affine: np.ndarray) -> int:
        """Bytes that the slices of a volume take on disk: float32 intensities and a bool foreground."""
        return self.num_slices(shape, affine) * self.image_size**2 * 5

    def _resample(self, image: MetaTensor, mode: str) -> MetaTensor:
        image = Orientation(axcodes=PLANES[self.plane], labels=(("L", "R"), ("P", "A"), ("I", "S")))(image)
        spacing = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0)[1:]
        target = self.spacing_mm or float(max(np.array(image.shape[2:]) * spacing) / self.image_size)
        factors = target / spacing
        if np.allclose(factors, 1, atol=1e-3):
            return image
        if mode == "bilinear" and factors.max() > 1.01:
            # Blur to the coarser grid's resolution first (full width at half maximum), or fine detail would alias.
            # SciPy, because MONAI's blur takes what lies beyond the edge for 0, which is mid-grey here.
            sigma = [0.0, 0.0, *(math.sqrt(max(0.0, f * f - 1)) / 2.355 for f in factors)]
            blurred = ndimage.gaussian_filter(image.numpy(), sigma, mode="nearest")
            image = MetaTensor(torch.from_numpy(blurred), meta=image.meta)
        return Spacing(pixdim=(-1.0, target, target), mode=mode, padding_mode="border")(image)

    def _fit(self, image: MetaTensor, background: float) -> MetaTensor:
        size = (image.shape[1], self.image_size, self.image_size)
        return ResizeWithPadOrCrop(spatial_size=size, mode="constant", value=background)(image)


def _with_affine(array: np.ndarray, affine: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(array))[None], affine=torch.from_numpy(affine))
