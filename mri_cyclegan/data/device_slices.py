"""Training slices in the memory of a device."""

import torch
from torch import Tensor

from mri_cyclegan.data.datasets import UnpairedSlices

# Of a GPU's free memory, before training: networks and their activations need the rest.
MAX_SHARE = 0.25


class DeviceSlices:
    """All slices that train, of both contrasts: loading a batch is then one look-up on the device.

    Args:
        slices: to keep; what they are cached in on disk is read once.
        device: that keeps them.
    """

    def __init__(self, slices: UnpairedSlices, device: torch.device) -> None:
        self.device = device
        self.images = {name: _stacked(slices, name, device) for name in "ab"}

    def of_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Put images ``a`` and ``b``, (B, 2k + 1, H, W), in the place of a batch's ``positions``, (B, 2)."""
        places = batch.pop("positions").unbind(1)
        return batch | {name: self.images[name][place] for name, place in zip("ab", places, strict=True)}


def _stacked(slices: UnpairedSlices, name: str, device: torch.device) -> Tensor:
    volumes, positions = slices.of_contrast(name)
    first = slices.load(volumes, positions[0])
    images = torch.empty(len(positions), *first.shape, device=device)
    for number, position in enumerate(positions):
        images[number] = slices.load(volumes, position)
    return images


def fits(slices: UnpairedSlices, mode: str | bool, device: torch.device) -> bool:
    """Whether a device is to keep the slices.

    Args:
        slices: that train.
        mode: ``True``, ``False``, or ``"auto"``: on a GPU, where they take at most a quarter of its free memory.
        device: that trains.
    """
    if mode != "auto":
        return bool(mode)
    return device.type == "cuda" and slices.num_bytes <= MAX_SHARE * torch.cuda.mem_get_info(device)[0]
