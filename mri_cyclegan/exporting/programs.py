"""Export each direction's network as a standalone program, for runtimes without this package."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.exporting.parity import OutputDifference, compare_outputs, size_multiple, takes_any_size
from mri_cyclegan.inference.any_size import PadToMultiple
from mri_cyclegan.inference.description import FILE_NAME
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.synthetic_image import NOTICE

# Names of a program's input and output.
INPUT, OUTPUT = "image", "translation"

# Writes a network to a file, given an example input, metadata to store in the file, and the dynamic axes.
ProgramWriter = Callable[[nn.Module, Tensor, Path, Mapping[str, str], Sequence[int]], None]

# Reads the file back as a function from (B, 2k + 1, H, W) in [-1, 1] to (B, 1, H, W).
ProgramLoader = Callable[[Path], Callable[[Tensor], Tensor]]


def write_programs(
    model: PortableModel, folder: Path, suffix: str, write: ProgramWriter, load: ProgramLoader
) -> dict[str, OutputDifference]:
    """Write both directions and ``model.json``, then read the programs back and compare them with the model.

    A program pads images of any size as its network needs, and crops the output back.

    Returns:
        Direction to the differences between the program's outputs and the model's.
    """
    differences = {}
    settings = model.description.preprocessing
    example = torch.zeros(2, 2 * settings.num_adjacent_slices + 1, settings.image_size, settings.image_size)
    for direction in DIRECTIONS:
        path = folder / f"generator_{direction}.{suffix}"
        dynamic_axes = [0, 2, 3] if takes_any_size(model, direction) else [0]
        network = PadToMultiple(model.networks[direction], size_multiple(model, direction)).eval()
        write(network, example, path, metadata(model, direction), dynamic_axes)
        differences[direction] = compare_outputs(model, direction, load(path))
    shutil.copyfile(model.folder / FILE_NAME, folder / FILE_NAME)
    return differences


def metadata(model: PortableModel, direction: str) -> dict[str, str]:
    """Metadata stored in the file, for users who have only that file."""
    description = model.description
    source, target = model.contrasts if direction == "ab" else reversed(model.contrasts)
    settings = description.preprocessing
    return {
        "notice": NOTICE,
        "source_contrast": source,
        "target_contrast": target,
        "input": f"{INPUT}: (batch, {2 * settings.num_adjacent_slices + 1}, height, width), float32, in [-1, 1]",
        "output": f"{OUTPUT}: (batch, 1, height, width), float32, in [-1, 1]",
        "any_size": str(takes_any_size(model, direction)).lower(),
        "preprocessing": settings.model_dump_json(),
        "weights_sha256": model.hashes[direction],
        "license": description.license,
        "code_version": description.code_version,
    }
