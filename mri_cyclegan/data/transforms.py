"""Preprocessing of volumes into slices for the networks."""

import math
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation, Spacing, SpatialPad
from scipy import ndimage

from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.data.windows import head_crop

# No scan of a head has larger slices.
MAX_IMAGE_SIZE = 2048

# Axis codes of (slice, row, column): upright (anterior or superior at the top), in radiological convention.
PLANES = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}


@dataclass(frozen=True)
class PreparedVolume:
    """Slices of a volume's whole field of view.

    Attributes:
        slices: (N, H, W) float32, in [-1, 1], background -1; H and W are at least ``image_size``.
        foreground: (N, H, W) bool.
        record: metadata as plain JSON values: ``source_shape``, ``source_affine``, ``affine`` of the slices,
            ``intensity_low`` and ``intensity_high`` (source intensities that map to -1 and 1), ``window`` (first row
            and column of the training window, a square of ``image_size`` pixels) and ``foreground_lost`` (share of the
            foreground outside that window).
    """

    slices: np.ndarray
    foreground: np.ndarray
    record: dict[str, Any]


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing applied to every volume, in training and in inference.

    Intensities are scaled per volume, never per slice: the foreground's 0.5th and 99.5th percentiles map to -1 and 1,
    and values beyond are clipped. The slice spacing stays as acquired. Nothing is cropped here: training reads a window
    on the head, see :func:`mri_cyclegan.data.windows.head_crop`, and translation the whole field of view.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        spacing_mm: in-plane pixel size; None fits the field of view into ``image_size``.
        image_size: side of the square training window, in pixels; smaller slices are padded to it.
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
            ValueError: the volume cannot be scaled, e.g. because it is constant; the caller adds the file name.
        """
        return self.slices_of(scale_intensities(volume))

    def slices_of(self, scaled: ScaledVolume) -> PreparedVolume:
        """Slices of a volume that is already on the common intensity scale."""
        image = self._resample(_with_affine(2 * scaled.array - 1, scaled.affine), mode="bilinear")
        image = self._pad(image, background=-1.0)
        mask = _with_affine(scaled.foreground.astype(np.float32), scaled.affine)
        foreground = self._pad(self._resample(mask, mode="nearest"), background=0.0)[0].numpy() > 0.5
        window, foreground_lost = head_crop(foreground, self.image_size)
        return PreparedVolume(
            # C order, whatever the order of the volume, because single slices are read from the saved file.
            slices=np.ascontiguousarray(image[0].numpy(), dtype=np.float32),
            foreground=np.ascontiguousarray(foreground),
            record={
                "source_shape": list(scaled.array.shape),
                "source_affine": scaled.affine.tolist(),
                "affine": image.affine.tolist(),
                "intensity_low": scaled.low,
                "intensity_high": scaled.high,
                "window": list(window),
                "foreground_lost": foreground_lost,
            },
        )

    def slice_axis(self, affine: np.ndarray) -> int:
        """Array axis of a volume along which the slices of the plane are stacked."""
        world_axis = {"axial": 2, "coronal": 1, "sagittal": 0}[self.plane]
        return int(np.argmax(nibabel.io_orientation(affine)[:, 0] == world_axis))

    def num_slices(self, shape: tuple[int, ...], affine: np.ndarray) -> int:
        """Number of slices of a volume in the plane."""
        return shape[self.slice_axis(affine)]

    def num_pixels(self, shape: tuple[int, ...], affine: np.ndarray) -> int:
        """Number of pixels in all slices of a volume."""
        sides_mm = np.delete(nibabel.affines.voxel_sizes(affine) * shape, self.slice_axis(affine))
        spacing_mm = self.spacing_mm or float(sides_mm.max()) / self.image_size
        sides = (max(math.ceil(side / spacing_mm), self.image_size) for side in sides_mm)
        return self.num_slices(shape, affine) * math.prod(sides)

    def num_bytes(self, shape: tuple[int, int, int], affine: np.ndarray) -> int:
        """Bytes on disk for the slices of a volume: float32 intensities and a bool foreground."""
        return self.num_pixels(shape, affine) * 5

    def _resample(self, image: MetaTensor, mode: str) -> MetaTensor:
        image = Orientation(axcodes=PLANES[self.plane], labels=(("L", "R"), ("P", "A"), ("I", "S")))(image)
        spacing = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0)[1:]
        target = self.spacing_mm or float(max(np.array(image.shape[2:]) * spacing) / self.image_size)
        factors = target / spacing
        if np.allclose(factors, 1, atol=1e-3):
            return image
        if mode == "bilinear" and factors.max() > 1.01:
            # Blur to the coarser grid's resolution first (as full width at half maximum) to avoid aliasing. SciPy,
            # because MONAI's blur assumes 0 beyond the edge, which is mid-gray here.
            sigma = [0.0, 0.0, *(math.sqrt(max(0.0, f * f - 1)) / 2.355 for f in factors)]
            blurred = ndimage.gaussian_filter(image.numpy(), sigma, mode="nearest")
            image = MetaTensor(torch.from_numpy(blurred), meta=image.meta)
        return Spacing(pixdim=(-1.0, target, target), mode=mode, padding_mode="border")(image)

    def _pad(self, image: MetaTensor, background: float) -> MetaTensor:
        """Pad sides shorter than ``image_size`` to it, evenly on both ends."""
        sides = [max(side, self.image_size) for side in image.shape[2:]]
        return SpatialPad([image.shape[1], *sides], mode="constant", value=background)(image)


def _with_affine(array: np.ndarray, affine: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(array))[None], affine=torch.from_numpy(affine))
