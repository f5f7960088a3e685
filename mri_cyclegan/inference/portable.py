"""The ``model/`` folder of a run: weights and everything needed to use them, without pickle or configuration code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from mri_cyclegan.networks.registry import GENERATORS
from mri_cyclegan.stacks import CentreSliceOf

FORMAT_VERSION = 1
INTENDED_USE = "Research on image translation. Synthetic images; not for diagnostic use."


def save_model(
    folder: str | Path,
    generators: Mapping[str, nn.Module],
    architectures: Mapping[str, Mapping[str, Any]],
    description: Mapping[str, Any],
) -> None:
    """Write ``generator_ab.safetensors``, ``generator_ba.safetensors`` and ``model.json``.

    Args:
        folder: made if it does not exist.
        generators: ``"ab"`` and ``"ba"`` to network.
        architectures: ``"ab"`` and ``"ba"`` to ``{"name": …, "arguments": {…}}``, see
            :data:`mri_cyclegan.networks.registry.GENERATORS`.
        description: more entries of ``model.json``: contrasts, preprocessing, metrics.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks = {}
    for way, network in generators.items():
        path = folder / f"generator_{way}.safetensors"
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        networks[way] = {**architectures[way], "weights": path.name, "sha256": digest}
    content = {"format_version": FORMAT_VERSION, "intended_use": INTENDED_USE, "generators": networks, **description}
    (folder / "model.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_generator(folder: str | Path, way: str) -> nn.Module:
    """The generator of one direction, ``"ab"`` or ``"ba"``, ready for use.

    Returns:
        Network from (B, 2k + 1, H, W) in [-1, 1], a slice between its neighbours, to (B, 1, H, W), its translation;
        k is ``num_adjacent_slices`` of the preprocessing in ``model.json``.

    Raises:
        ValueError: the folder is no model of this format, or its weights were changed.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: no readable model.json ({error}). Give the model/ folder of a run.") from error
    if content.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder}: model format {content.get('format_version')}; this version reads {FORMAT_VERSION}."
        )
    entry = content["generators"][way]
    if entry["name"] not in GENERATORS:
        raise ValueError(f"{folder}: unknown generator {entry['name']!r}; known: {', '.join(GENERATORS)}.")
    path = folder / f"generator_{way}.safetensors"
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise ValueError(f"{path}: the weights are not those model.json describes. Copy the folder again.")
    network = GENERATORS[entry["name"]](**entry["arguments"])
    network.load_state_dict(load_file(path))
    return network.eval() if entry["arguments"]["out_channels"] == 1 else CentreSliceOf(network).eval()
