"""The ``model/`` folder of a run: weights and everything needed to use them, without pickle or configuration code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.networks.registry import GENERATORS
from mri_cyclegan.stacks import CentreSliceOf

FORMAT_VERSION = 2
INTENDED_USE = "Research on image translation. Synthetic images; not for diagnostic use."
WAYS = ("ab", "ba")


@dataclass(frozen=True)
class PortableModel:
    """A trained model, ready for use.

    Attributes:
        folder: where it lies.
        networks: ``"ab"`` and ``"ba"`` to a network from (B, 2k + 1, H, W) in [-1, 1], a slice between its neighbours,
            to (B, 1, H, W), its translation.
        preprocessing: how volumes become slices.
        num_adjacent: neighbours on either side, k.
        content: of ``model.json``.
    """

    folder: Path
    networks: Mapping[str, nn.Module]
    preprocessing: Preprocessing
    num_adjacent: int
    content: Mapping[str, Any]

    @property
    def contrasts(self) -> tuple[str, str]:
        """Names of a and b."""
        return self.content["contrasts"]["a"], self.content["contrasts"]["b"]

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each direction's weights."""
        return {way: self.content["generators"][way]["sha256"] for way in WAYS}

    def translator(self, device: torch.device | str = "cpu") -> VolumeTranslator:
        """What translates whole volumes with it."""
        return VolumeTranslator(self.networks, self.preprocessing, self.num_adjacent, device)


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
        description: more entries of ``model.json``: ``contrasts``, ``preprocessing``, ``training``, ``weights``.
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


def load_model(folder: str | Path) -> PortableModel:
    """Load both directions.

    Args:
        folder: a run's folder, or the ``model/`` folder in it.

    Raises:
        ValueError: the folder is no model of this format, or its weights were changed.
    """
    folder = Path(folder).expanduser()
    folder = folder / "model" if (folder / "model").is_dir() else folder
    content = _read_description(folder)
    try:
        settings = dict(content["preprocessing"])
        num_adjacent = settings.pop("num_adjacent_slices")
        preprocessing = Preprocessing(**settings)
        assert {"a", "b"} <= content["contrasts"].keys()
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"{folder}/model.json: preprocessing or contrasts are incomplete ({error}).") from error
    networks = {way: _load_generator(folder, content["generators"][way], way) for way in WAYS}
    return PortableModel(folder, networks, preprocessing, num_adjacent, content)


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder}: no readable model.json ({error}). Give the folder of a finished run, or its model/ folder."
        ) from error
    if content.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder}: model format {content.get('format_version')}; this version reads {FORMAT_VERSION}. "
            "Use the version of mri-cyclegan that wrote it, or train again."
        )
    return content


def _load_generator(folder: Path, entry: Mapping[str, Any], way: str) -> nn.Module:
    if entry["name"] not in GENERATORS:
        raise ValueError(f"{folder}: unknown generator {entry['name']!r}; known: {', '.join(GENERATORS)}.")
    path = folder / f"generator_{way}.safetensors"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}). Copy the folder again.") from error
    if digest != entry["sha256"]:
        raise ValueError(f"{path}: the weights are not those model.json describes. Copy the folder again.")
    network = GENERATORS[entry["name"]](**entry["arguments"])
    network.load_state_dict(load_file(path))
    return network.eval() if entry["arguments"]["out_channels"] == 1 else CentreSliceOf(network).eval()
