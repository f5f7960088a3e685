"""Translate whole volumes with a trained model."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.transforms import PreparedVolume, Preprocessing
from mri_cyclegan.inference.any_size import wrap_for_any_size
from mri_cyclegan.inference.resampling import to_scan_grid

# Slices per batch. On a CPU, more take memory without saving time.
BATCH_SIZE_CPU, BATCH_SIZE_GPU = 4, 32

# Batches are smaller if their feature maps would take more memory than this.
BATCH_BYTES_CPU, BATCH_BYTES_GPU = 2**30, 2**33


# Air counts as empty if at least this fraction of it is at the dark end of the scale.
MIN_EMPTY_FRACTION = 0.9


def background_of(scaled: ScaledVolume) -> np.ndarray:
    """Mask of empty voxels, (X, Y, Z) bool: outside the head and at the dark end of the scale.

    All False if the air is noisy, because the mask could then cut off dark tissue.
    """
    outside = ~scaled.foreground
    background = outside & (scaled.array == 0)
    is_empty = np.count_nonzero(background) >= MIN_EMPTY_FRACTION * np.count_nonzero(outside)
    return background if is_empty else np.zeros_like(outside)


class VolumeTranslator:
    """Translates volumes of either contrast into the other, on their own grid and over their whole field of view.

    Background stays background: the output is 0 where the source shows none of the head, see :func:`background_of`.

    Args:
        networks: direction (``"ab"``, ``"ba"``) to a network that maps a slice and its k neighbors on either side,
            (B, 2k + 1, H, W) in [-1, 1], to the translated slice, (B, 1, H, W); for their optional attributes see
            :func:`mri_cyclegan.inference.any_size.wrap_for_any_size`.
        preprocessing: preprocessing that the networks were trained with.
        num_adjacent: number of neighbors on either side of a slice that the networks see, k.
        device: compute device.
        slice_bytes: upper bound on the memory of a network's feature maps for a slice of ``image_size``, in bytes.

    Attributes:
        generator_s: seconds spent in the networks so far.
        on_slices: called after each batch with its number of slices.
    """

    def __init__(
        self,
        networks: Mapping[str, Callable[[Tensor], Tensor]],
        preprocessing: Preprocessing,
        num_adjacent: int = 0,
        device: torch.device | str = "cpu",
        slice_bytes: int = 1,
    ) -> None:
        self.networks = {
            direction: wrap_for_any_size(network, preprocessing.image_size) for direction, network in networks.items()
        }
        for network in networks.values():
            if isinstance(network, nn.Module):
                network.to(device).eval()
        self.preprocessing = preprocessing
        self.num_adjacent = num_adjacent
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self.max_batch, self.batch_bytes = (
            (BATCH_SIZE_CPU, BATCH_BYTES_CPU) if on_cpu else (BATCH_SIZE_GPU, BATCH_BYTES_GPU)
        )
        self.pixel_bytes = slice_bytes / preprocessing.image_size**2
        self.generator_s = 0.0
        self.on_slices: Callable[[int], None] = lambda num_slices: None

    def __call__(self, scaled: ScaledVolume, direction: str, view: "View | None" = None) -> np.ndarray:
        """Translate one volume.

        Args:
            scaled: the volume, on the common intensity scale.
            direction: ``"ab"`` or ``"ba"``.
            view: transform of the slices before the network; it is undone afterwards.

        Returns:
            (X, Y, Z) float32, in [0, 1], on the volume's own grid.
        """
        output = self.translate_prepared(self.preprocessing.slices_of(scaled), direction, view)
        output[background_of(scaled)] = 0
        return output

    def translate_prepared(self, prepared: PreparedVolume, direction: str, view: "View | None" = None) -> np.ndarray:
        """Translate an already sliced volume, as a call does but without setting the background to 0."""
        slices = prepared.slices if view is None else view.apply(prepared.slices)
        fakes = self.translate_slices(slices, direction)
        return self.on_scan_grid(fakes if view is None else view.undo(fakes), prepared)

    def on_scan_grid(self, slices: np.ndarray, prepared: PreparedVolume) -> np.ndarray:
        """Convert slices in [-1, 1] to a volume in [0, 1] on the scan's grid."""
        volume = to_scan_grid(slices, prepared.record)
        return ((volume + 1) / 2).clip(0, 1)

    @torch.inference_mode()
    def translate_slices(self, slices: np.ndarray, direction: str) -> np.ndarray:
        """Translate a stack of consecutive slices.

        Args:
            slices: (N, H, W) float32, in [-1, 1], of any size; the first and last one serve as their own neighbors.
            direction: ``"ab"`` or ``"ba"``.

        Returns:
            (N, H, W) float32, in [-1, 1].
        """
        fakes = np.empty(slices.shape, dtype=np.float32)
        batch_size = self._batch_size(slices.shape[1] * slices.shape[2])
        for start in range(0, len(slices), batch_size):
            centers = np.arange(start, min(start + batch_size, len(slices)))
            around = centers[:, None] + np.arange(-self.num_adjacent, self.num_adjacent + 1)
            batch = torch.from_numpy(slices[around.clip(0, len(slices) - 1)]).to(self.device)
            began = perf_counter()
            fake = self._forward(batch, direction).cpu()  # synchronizes, so that the timing is right
            self.generator_s += perf_counter() - began
            fakes[centers] = fake[:, 0].numpy()
            self.on_slices(len(centers))
        return fakes

    def _batch_size(self, num_pixels: int) -> int:
        return max(1, min(self.max_batch, int(self.batch_bytes / (self.pixel_bytes * num_pixels))))

    def _forward(self, batch: Tensor, direction: str) -> Tensor:
        """Run the network, on a GPU in float16: the 8 bits of bfloat16 would show as gray-level steps."""
        if self.device.type == "cuda":
            with torch.autocast("cuda", torch.float16):
                fake = self.networks[direction](batch).float()
            if torch.isfinite(fake).all():
                return fake
        return self.networks[direction](batch).float()  # on a GPU: an intermediate value overflowed float16


class View:
    """Test-time augmentation: a transform of the slices that should not change their translation.

    Args:
        flip: whether to flip left and right.
        shift: shift along rows and columns, in pixels; the uncovered border becomes background.
    """

    def __init__(self, flip: bool = False, shift: tuple[int, int] = (0, 0)) -> None:
        self.flip = flip
        self.shift = shift

    def apply(self, slices: np.ndarray) -> np.ndarray:
        """Transform slices, (N, H, W) in [-1, 1]."""
        slices = _shifted(slices, self.shift)
        return np.ascontiguousarray(slices[..., ::-1]) if self.flip else slices

    def undo(self, slices: np.ndarray) -> np.ndarray:
        """Undo the transform of slices, (N, H, W) in [-1, 1]; what was shifted out is background."""
        slices = slices[..., ::-1] if self.flip else slices
        return _shifted(slices, (-self.shift[0], -self.shift[1]))


TEST_TIME_VIEWS = (View(), View(flip=True), View(shift=(2, 2)), View(shift=(-2, -2)), View(flip=True, shift=(2, -2)))


def translate_with_std(
    translators: Sequence[VolumeTranslator], scaled: ScaledVolume, direction: str, views: Sequence[View]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Voxelwise mean and standard deviation over models and views.

    Args:
        translators: translator of one model, or those of an ensemble.
        scaled: the volume, on the common intensity scale.
        direction: ``"ab"`` or ``"ba"``.
        views: transforms under which each model sees the slices.

    Returns:
        Mean and standard deviation, each (X, Y, Z) float32, in [0, 1], on the volume's own grid; for a single model
        and view, its output and None.
    """
    if len(translators) * len(views) == 1:
        return translators[0](scaled, direction, views[0]), None
    mean = np.zeros(scaled.array.shape, dtype=np.float32)
    squares = np.zeros_like(mean)
    number = 0
    for translator in translators:
        prepared = translator.preprocessing.slices_of(scaled)
        for view in views:
            output = translator.translate_prepared(prepared, direction, view)
            number += 1
            change = output - mean  # Welford's algorithm: a small std is not lost to rounding
            mean += change / number
            squares += change * (output - mean)
    background = background_of(scaled)
    mean[background] = 0
    squares[background] = 0
    return mean, np.sqrt(squares / max(1, number - 1))


def _shifted(slices: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    if shift == (0, 0):
        return slices
    moved = np.full_like(slices, -1.0)
    (to_rows, from_rows), (to_columns, from_columns) = (
        _shift_slices(step, size) for step, size in zip(shift, slices.shape[1:], strict=True)
    )
    moved[:, to_rows, to_columns] = slices[:, from_rows, from_columns]
    return moved


def _shift_slices(step: int, size: int) -> tuple[slice, slice]:
    kept = slice(max(0, step), size + min(0, step))
    return kept, slice(max(0, -step), size + min(0, -step))
