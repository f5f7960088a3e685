"""The ``model/`` folder of a run: weights and everything needed to use them, without pickle or configuration code."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mri_cyclegan.data.appearance import NUMBERS
from mri_cyclegan.data.histograms import NUM_BINS
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.networks.registry import GENERATORS
from mri_cyclegan.stacks import CentreSliceOf

FORMAT_VERSION = 2
INTENDED_USE = "Research on image translation. Synthetic images; not for diagnostic use."
WAYS = ("ab", "ba")

# Far above what anyone trains: a description that asks for more is damaged.
MAX_IMAGE_SIZE = 4096
MAX_ARGUMENT = 1024
SPACING_MM = (0.01, 100.0)


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
    with _naming(folder / "model.json"):
        preprocessing, num_adjacent = _validated(content)
        entries = {way: content["generators"][way] for way in WAYS}
        planned = {way: _plan(entries[way], preprocessing.image_size, num_adjacent) for way in WAYS}
    networks = {way: _with_weights(folder / f"generator_{way}.safetensors", entries[way], planned[way]) for way in WAYS}
    return PortableModel(folder, networks, preprocessing, num_adjacent, content)


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{folder}: no readable model.json ({error}). Give the folder of a finished run, or its model/ folder."
        ) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{folder}/model.json: model format {version}; this version reads {FORMAT_VERSION}. "
            "Use the version of mri-cyclegan that wrote it, or train again."
        )
    return content


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file it is that does not hold what it should."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: no {error}. Copy the folder again, or train again.") from error
    except (AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError, OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not as it was saved ({reason}). Copy the folder again, or train again.") from error


def _validated(content: Mapping[str, Any]) -> tuple[Preprocessing, int]:
    """Preprocessing and neighbours on either side, once all of ``model.json`` but the generators is as it must be.

    Raises:
        KeyError, TypeError, ValueError, ArithmeticError: something is missing or is not what was expected.
    """
    settings = dict(content["preprocessing"])
    num_adjacent = settings.pop("num_adjacent_slices")
    preprocessing = Preprocessing(**settings)
    size = preprocessing.image_size
    spacing_mm = SPACING_MM[0] if preprocessing.spacing_mm is None else preprocessing.spacing_mm
    contrasts = [content["contrasts"][letter] for letter in "ab"]
    _require(type(size) is int and size <= MAX_IMAGE_SIZE, f"image_size {size!r}, at most {MAX_IMAGE_SIZE} expected")
    _require(SPACING_MM[0] <= spacing_mm <= SPACING_MM[1], f"spacing_mm {spacing_mm}, expected {SPACING_MM}")
    _require(
        type(num_adjacent) is int and num_adjacent >= 0, f"num_adjacent_slices {num_adjacent!r}, expected 0 or more"
    )
    _require(all(isinstance(name, str) for name in contrasts), f"contrasts {contrasts}, expected two names")
    _require(isinstance(content["weights"], str), f"weights {content['weights']!r}, expected words")
    for letter in "ab":
        _require_appearance(content["training"][letter], f"training of {letter}")
    return preprocessing, num_adjacent


def _require_appearance(training: Mapping[str, Any], name: str) -> None:
    """What :func:`mri_cyclegan.data.appearance.training_appearance` gives."""
    histogram = training["histogram"]
    _require(len(histogram) == NUM_BINS, f"{name}: histogram of {len(histogram)} bins, expected {NUM_BINS}")
    sums_to_one = all(_is_number(share) and share >= 0 for share in histogram) and abs(sum(histogram) - 1) < 0.01
    _require(sums_to_one, f"{name}: histogram is not of shares that sum to 1")
    for key in ("num_scans", "histogram_distance"):
        _require(
            _is_number(training[key]) and training[key] >= 0, f"{name}: {key} {training[key]!r}, expected a number"
        )
    for key in NUMBERS:
        low, high = training["ranges"][key]
        _require(_is_number(low) and _is_number(high) and low <= high, f"{name}: {key} from {low!r} to {high!r}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _plan(entry: Mapping[str, Any], image_size: int, num_adjacent: int) -> nn.Module:
    """The network without memory for its weights, once it is known to take and give what it must.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: there is no such network.
    """
    name, arguments = entry["name"], entry["arguments"]
    _require(name in list(GENERATORS), f"unknown generator {name!r}; known: {', '.join(GENERATORS)}")
    _require(isinstance(entry["sha256"], str), f"sha256 {entry['sha256']!r}, expected hexadecimal digits")
    for key, value in arguments.items():
        # Before anything is built: even without memory for weights, a million layers take minutes.
        _require(type(value) is not int or value <= MAX_ARGUMENT, f"{key} {value}, at most {MAX_ARGUMENT} expected")
    channels = 2 * num_adjacent + 1
    with torch.device("meta"):
        network = GENERATORS[name](**arguments).eval()
        _require(arguments["in_channels"] == channels, f"in_channels {arguments['in_channels']} for {channels} slices")
        output = network(torch.empty(1, channels, image_size, image_size))
    _require(output.shape[1] in (1, channels), f"out_channels {output.shape[1]} for {channels} slices")
    return network


def _with_weights(path: Path, entry: Mapping[str, Any], planned: nn.Module) -> nn.Module:
    with _naming(path):
        _require_weights_of(planned, path, entry["sha256"])
        network = GENERATORS[entry["name"]](**entry["arguments"])
        network.load_state_dict(load_file(path))
    return network.eval() if entry["arguments"]["out_channels"] == 1 else CentreSliceOf(network).eval()


def _require_weights_of(network: nn.Module, path: Path, sha256: str) -> None:
    """Refuse weights that were changed or are not of this network, before memory is taken for either."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _require(digest == sha256, "the weights are not those model.json describes")
    with safe_open(path, "pt") as weights:
        saved = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    odd = sorted(name for name in saved.keys() | expected.keys() if saved.get(name) != expected.get(name))
    _require(not odd, f"other weights than the arguments in model.json ask for: {', '.join(odd[:4])}")
