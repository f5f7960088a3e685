"""Training slices kept in the memory of the training device."""

import torch
from torch import Tensor

from mri_cyclegan.data.datasets import UnpairedSlices

# Largest share that the slices may take of a GPU's memory free before training: networks and activations need the rest.
MAX_SHARE = 0.25


class DeviceSlices:
    """All training slices of both contrasts in device memory, so that loading a batch is one lookup on the device.

    Args:
        slices: the training slices; their files in the slice cache are read once.
        device: the device to keep them on.
    """

    def __init__(self, slices: UnpairedSlices, device: torch.device) -> None:
        self.device = device
        self.images = {name: _load_all(slices, name, device) for name in "ab"}

    def of_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Replace a batch's ``positions``, (B, 2), by the images ``a`` and ``b``, (B, 2k + 1, H, W)."""
        places = batch.pop("positions").unbind(1)
        return batch | {name: self.images[name][place] for name, place in zip("ab", places, strict=True)}


def _load_all(slices: UnpairedSlices, name: str, device: torch.device) -> Tensor:
    volumes, positions = slices.of_contrast(name)
    first = slices.load(volumes, positions[0])
    images = torch.empty(len(positions), *first.shape, device=device)
    for number, position in enumerate(positions):
        images[number] = slices.load(volumes, position)
    return images


def should_cache_on_device(slices: UnpairedSlices, mode: str | bool, device: torch.device) -> bool:
    """Whether to keep the training slices in the memory of a device.

    Args:
        slices: the training slices.
        mode: ``True``, ``False``, or ``"auto"``: on a GPU, if the slices take at most a quarter of its free memory.
        device: the training device.
    """
    if mode != "auto":
        return bool(mode)
    return device.type == "cuda" and slices.num_bytes <= MAX_SHARE * torch.cuda.mem_get_info(device)[0]
