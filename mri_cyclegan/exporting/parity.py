"""Compare the outputs of an exported network with those of the original network."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.inference.any_size import PadToMultiple
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.volume_translator import VolumeTranslator

# A small head is fast to generate; each model's preprocessing resamples it to the model's pixel size.
PHANTOM = Phantom(
    num_train=2, num_val=0, num_test=0, spacing_mm=4.0, lesion_share=0.0, noise=0.02, bias_strength=0.2, seed=0
)
NUM_SLICES = 6


class OutputDifference(NamedTuple):
    """Output differences of an exported network, in units of the output, [-1, 1]; NaN if an output is NaN.

    Attributes:
        difference: largest difference from the original network's outputs for head slices.
        rounding: largest difference of the original network's outputs from those in double precision. In nearly empty
            slices, normalization amplifies rounding errors in any program.
    """

    difference: float
    rounding: float = 0.0


def compare_outputs(model: PortableModel, direction: str, program: Callable[[Tensor], Tensor]) -> OutputDifference:
    """Compare an exported network with the original network.

    Args:
        model: model that was exported.
        direction: ``"ab"`` or ``"ba"``.
        program: exported network of this direction, (B, 2k + 1, H, W) in [-1, 1] to (B, 1, H, W).
    """
    multiple = size_multiple(model, direction)
    network = PadToMultiple(model.networks[direction], multiple)
    exact = PadToMultiple(copy.deepcopy(model.networks[direction]).double(), multiple)
    outputs = [
        [
            VolumeTranslator({direction: one}, model.preprocessing, model.num_adjacent).translate_slices(
                slices, direction
            )
            for one in (network, program, lambda image: exact(image.double()))
        ]
        for slices in _comparison_slices(model, direction)
    ]
    return OutputDifference(
        float(np.max([np.abs(exported - own).max() for own, exported, _ in outputs])),
        float(np.max([np.abs(right - own).max() for own, _, right in outputs])),
    )


def head_volume(direction: str) -> Volume:
    """A phantom head in the contrast closest to the source contrast of a direction."""
    image = PHANTOM.subject(0).images["T1w" if direction == "ab" else "T2w"]
    return Volume(image.astype(np.float32), np.diag([PHANTOM.spacing_mm] * 3 + [1.0]))


def size_multiple(model: PortableModel, direction: str) -> int:
    """Number that height and width of a network's input must be multiples of."""
    return model.networks[direction].size_multiple  # type: ignore[return-value]


def takes_any_size(model: PortableModel, direction: str) -> bool:
    """Whether the exported network takes images of other sizes than the model's."""
    return not getattr(model.networks[direction], "has_fixed_export_size", False)


def depends_on_size(model: PortableModel, direction: str) -> bool:
    """Whether a network should see one image size only: :func:`mri_cyclegan.inference.any_size.wrap_for_any_size`."""
    return getattr(model.networks[direction], "depends_on_size", False)


def _comparison_slices(model: PortableModel, direction: str) -> list[np.ndarray]:
    """Slices of the model's size, run in batches of four and two, and a single one, of an odd size if it can be.

    They span the head from first to last slice: rounding errors are largest in slices that show little.
    """
    prepared, size = model.preprocessing(head_volume(direction)), model.preprocessing.image_size
    row, column = prepared.record["window"]
    slices = prepared.slices[:, row : row + size, column : column + size]
    slices = slices[np.linspace(0, len(slices) - 1, NUM_SLICES).astype(int)]
    if not takes_any_size(model, direction):
        return [slices, slices[2:3]]
    odd_size = np.pad(slices[2:3], ((0, 0), (0, 1), (0, 3)), constant_values=-1.0)
    return [slices, odd_size]
