"""Random augmentation of training slices: drawn in the loader processes, applied on the batch's device."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Columns of a sample's changes, in the order in which they are applied.
CHANGES = ("flip", "scale_row", "scale_column", "rotation", "shift_row", "shift_column", "brightness", "gamma")

# On a CPU a batch is augmented in parts of about this many pixels, so that the output of each operation is still in the
# processor's cache for the next: twice as fast at 256x256.
CPU_PIXELS = 2**18


class Augmentation:
    """Random flip, scale, rotation, shift, brightness and contrast of slices.

    Loader processes only draw the parameters; the whole batch is then augmented at once on its device, with a single
    bilinear sampling for all geometric changes. Brightness and contrast are changed on the scale [0, 1], where the
    background is 0 and stays 0.

    Args:
        rotation_degrees: largest rotation in either direction.
        shift: largest shift in either direction, as a share of the side length.
        scale: largest relative enlargement or reduction, drawn separately for height and width.
        flip: whether left and right may be swapped.
        brightness: largest relative change of the signal.
        contrast: c, for a gamma exponent between 1 / (1 + c) and 1 + c.

    Raises:
        ValueError: a setting is negative, or a share is not below 1.
    """

    def __init__(
        self,
        rotation_degrees: float = 8.0,
        shift: float = 0.04,
        scale: float = 0.05,
        flip: bool = True,
        brightness: float = 0.05,
        contrast: float = 0.1,
    ) -> None:
        for name, value, limit in (
            ("rotation_degrees", rotation_degrees, math.inf),
            ("shift", shift, 1),
            ("scale", scale, 1),
            ("brightness", brightness, 1),
            ("contrast", contrast, math.inf),
        ):
            if not 0 <= value < limit:
                raise ValueError(
                    f"data.augmentation.{name}: expected 0 (no change) or more{'' if limit > 1 else ', below 1'}; "
                    f"got {value}."
                )
        rotation = math.radians(rotation_degrees)
        lowest = (0, 1 - scale, 1 - scale, -rotation, -shift, -shift, 1 - brightness, 1 / (1 + contrast))
        highest = (1, 1 + scale, 1 + scale, rotation, shift, shift, 1 + brightness, 1 + contrast)
        self.flip = flip
        self.lowest, self.ranges = np.array(lowest), np.subtract(highest, lowest)

    def draw(self, random: np.random.Generator, num_samples: int) -> Tensor:
        """Draw the changes of several samples, (num_samples, 8), columns as in :data:`CHANGES`.

        ``flip`` is -1 or 1, ``rotation`` is in radians, ``shift_*`` is a share of the side length, ``scale_*`` and
        ``brightness`` are factors, ``gamma`` is an exponent.
        """
        changes = self.lowest + self.ranges * random.random((num_samples, len(CHANGES)))
        changes[:, 0] = np.where(self.flip & (changes[:, 0] < 0.5), -1, 1)
        return torch.from_numpy(changes.astype(np.float32))

    def __call__(self, images: Tensor, changes: Tensor) -> Tensor:
        """Augment a batch, with separate changes for each sample, the same for all its channels.

        Args:
            images: (B, C, H, W), in [-1, 1].
            changes: (B, 8), see :meth:`draw`, on the same device.

        Returns:
            (B, C, H, W), in [-1, 1], dtype of ``images``; computed in float32 even under autocast. Pixels from outside
            the image become background.
        """
        if images.device.type != "cpu":
            return _change(images, changes)
        num_samples = max(1, CPU_PIXELS // images[0].numel())
        parts = zip(images.split(num_samples), changes.split(num_samples), strict=True)
        return torch.cat([_change(*part) for part in parts])

    def of_batch(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Augment ``a`` and ``b`` of a training batch by its ``changes``, (B, 2, 8)."""
        changes_a, changes_b = batch["changes"].unbind(1)
        return {"a": self(batch["a"], changes_a), "b": self(batch["b"], changes_b)}


def _change(images: Tensor, changes: Tensor) -> Tensor:
    changes = changes.float()
    with torch.autocast(images.device.type, enabled=False):
        signal = images.float() + 1
        moved = functional.grid_sample(signal, sampling_grid(changes, *images.shape[-2:]), align_corners=False)
        # Sampling rounds even without a geometric change: keep such samples exact.
        unmoved = changes[:, :3].eq(1).all(dim=1) & changes[:, 3:6].eq(0).all(dim=1)
        moved = torch.where(_per_sample(unmoved), signal, moved)
        brightness, gamma = _per_sample(changes[:, 6]), _per_sample(changes[:, 7])
        return moved.mul_(brightness / 2).pow_(gamma).mul_(2).sub_(1).clamp_(-1, 1).to(images.dtype)


def _per_sample(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def sampling_grid(changes: Tensor, height: int, width: int) -> Tensor:
    """Source position of each pixel of the augmented image.

    Args:
        changes: (B, 8), see :meth:`Augmentation.draw`.
        height: image height, H.
        width: image width, W.

    Returns:
        (B, H, W, 2), (column, row) from -1 to 1, as :func:`torch.nn.functional.grid_sample` expects.
    """
    flip, scale_row, scale_column, rotation, shift_row, shift_column = changes[:, :6].unbind(1)
    cosine, sine = torch.cos(rotation), torch.sin(rotation)
    # From a position in the augmented image back to the source: undo the shift, then rotation, scale and flip. The
    # result is a sum of a term per row and a term per column, much cheaper than a matrix product for every pixel.
    # Positions are complex numbers, column + i row: one contiguous sum instead of two strided ones.
    rows, columns = (
        _centers(height, changes) - 2 * shift_row[:, None],
        _centers(width, changes) - 2 * shift_column[:, None],
    )
    by_row = torch.complex(flip * sine * (height / width) / scale_column, cosine / scale_row)
    by_column = torch.complex(flip * cosine / scale_column, -sine * (width / height) / scale_row)
    places = (rows * by_row[:, None])[:, :, None] + (columns * by_column[:, None])[:, None]
    return torch.view_as_real(places)


def _centers(count: int, like: Tensor) -> Tensor:
    """Centers of pixels along a side that runs from -1 to 1, (count,)."""
    return (2 * torch.arange(count, device=like.device, dtype=torch.float32) + 1) / count - 1
