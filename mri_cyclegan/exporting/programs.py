"""Each direction's network as a program of its own, for runtimes that know nothing of this package."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.exporting.parity import Parity, parity_of, size_multiple, takes_any_size
from mri_cyclegan.inference.any_size import AnySize
from mri_cyclegan.inference.description import FILE_NAME
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.synthetic_image import NOTICE

# Names of a program's input and output.
INPUT, OUTPUT = "image", "translation"

# Writes a network, with an example of its input, into a file, with facts that travel in it and axes that may vary.
Write = Callable[[nn.Module, Tensor, Path, Mapping[str, str], Sequence[int]], None]

# Reads it back: (B, 2k + 1, H, W) in [-1, 1] to (B, 1, H, W).
Load = Callable[[Path], Callable[[Tensor], Tensor]]


def write_programs(model: PortableModel, folder: Path, suffix: str, write: Write, load: Load) -> dict[str, Parity]:
    """Write both directions and ``model.json``, and read the programs back.

    A program pads images of any size to what its network needs, and cuts its outputs back.

    Returns:
        Direction to how far the file's outputs are from the model's.
    """
    differences = {}
    settings = model.description.preprocessing
    example = torch.zeros(2, 2 * settings.num_adjacent_slices + 1, settings.image_size, settings.image_size)
    for direction in DIRECTIONS:
        path = folder / f"generator_{direction}.{suffix}"
        axes = [0, 2, 3] if takes_any_size(model, direction) else [0]
        network = AnySize(model.networks[direction], size_multiple(model, direction)).eval()
        write(network, example, path, facts(model, direction), axes)
        differences[direction] = parity_of(model, direction, load(path))
    shutil.copyfile(model.folder / FILE_NAME, folder / FILE_NAME)
    return differences


def facts(model: PortableModel, direction: str) -> dict[str, str]:
    """What whoever finds the file alone must know."""
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
