"""Each direction's network as a program of its own, for runtimes that know nothing of this package."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mri_cyclegan.exporting.parity import max_abs_difference, size_multiple
from mri_cyclegan.inference.description import FILE_NAME
from mri_cyclegan.inference.portable import WAYS, PortableModel
from mri_cyclegan.inference.synthetic_image import NOTICE

# Names of a program's input and output.
INPUT, OUTPUT = "image", "translation"

# Writes a network, with an example of its input, into a file, with facts that travel in it.
Write = Callable[[nn.Module, Tensor, Path, Mapping[str, str]], None]

# Reads it back: (B, 2k + 1, H, W) in [-1, 1] to (B, 1, H, W).
Load = Callable[[Path], Callable[[Tensor], Tensor]]


def write_programs(model: PortableModel, folder: Path, suffix: str, write: Write, load: Load) -> dict[str, float]:
    """Write both directions and ``model.json``, and read the programs back.

    Returns:
        Direction to the largest difference between the file's outputs and the model's.
    """
    differences = {}
    settings = model.description.preprocessing
    example = torch.zeros(2, 2 * settings.num_adjacent_slices + 1, settings.image_size, settings.image_size)
    for way in WAYS:
        path = folder / f"generator_{way}.{suffix}"
        write(model.networks[way], example, path, facts(model, way))
        differences[way] = max_abs_difference(model, way, load(path))
    shutil.copyfile(model.folder / FILE_NAME, folder / FILE_NAME)
    return differences


def facts(model: PortableModel, way: str) -> dict[str, str]:
    """What whoever finds the file alone must know."""
    description = model.description
    source, target = model.contrasts if way == "ab" else reversed(model.contrasts)
    settings = description.preprocessing
    return {
        "notice": NOTICE,
        "source_contrast": source,
        "target_contrast": target,
        "input": f"{INPUT}: (batch, {2 * settings.num_adjacent_slices + 1}, height, width), float32, in [-1, 1]",
        "output": f"{OUTPUT}: (batch, 1, height, width), float32, in [-1, 1]",
        "size_multiple": str(size_multiple(model, way)),
        "preprocessing": settings.model_dump_json(),
        "weights_sha256": model.hashes[way],
        "license": description.license,
        "code_version": description.code_version,
    }
