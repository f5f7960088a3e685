"""Does an exported network give what the network itself gives?"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.inference.portable import PortableModel
from mri_cyclegan.inference.volume_translator import VolumeTranslator

# A small head is quickly made; each model's preprocessing brings it to its own pixel size.
PHANTOM = Phantom(
    num_train=2, num_val=0, num_test=0, spacing_mm=4.0, lesion_share=0.0, noise=0.02, bias_strength=0.2, seed=0
)
NUM_SLICES = 6


def max_abs_difference(model: PortableModel, way: str, program: Callable[[Tensor], Tensor]) -> float:
    """Largest difference between what an exported network and the network itself make of head slices.

    Args:
        model: that was exported.
        way: ``"ab"`` or ``"ba"``.
        program: exported network of this direction, (B, 2k + 1, H, W) in [-1, 1] to (B, 1, H, W).

    Returns:
        In units of the output, [-1, 1]; NaN where either is.
    """
    original, exported = (
        VolumeTranslator({way: network}, model.preprocessing, model.num_adjacent)
        for network in (model.networks[way], program)
    )
    differences = [
        np.abs(original.translate_slices(slices, way) - exported.translate_slices(slices, way)).max()
        for slices in _check_slices(model, way)
    ]
    return float(np.max(differences))


def head_volume(way: str) -> Volume:
    """A phantom's head in the contrast that comes nearest to the source of a direction."""
    image = PHANTOM.subject(0).images["T1w" if way == "ab" else "T2w"]
    return Volume(image.astype(np.float32), np.diag([PHANTOM.spacing_mm] * 3 + [1.0]))


def size_multiple(model: PortableModel, way: str) -> int:
    """Both sides of a network's input must be multiples of it."""
    return 2 ** model.description.generators[way].arguments["depth"]  # type: ignore[index, operator, return-value]


def _check_slices(model: PortableModel, way: str) -> list[np.ndarray]:
    """Slices of the model's own size, which pass in batches of four and two, and one of another size, alone.

    From the first of the head to the last: where there is little to see, rounding shows most.
    """
    slices = model.preprocessing(head_volume(way)).slices
    slices = slices[np.linspace(0, len(slices) - 1, NUM_SLICES).astype(int)]
    step = size_multiple(model, way)
    other_size = np.pad(slices[2:3], ((0, 0), (0, step), (0, 2 * step)), constant_values=-1.0)
    return [slices, other_size]
