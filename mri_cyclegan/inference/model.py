"""The ``model/`` folder of a run: weights and all that is needed to use them, without pickle or configuration code."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import torch
from safetensors.torch import save
from torch import nn

from mri_cyclegan import trusted_classes
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.filesystem import atomic_write_bytes, atomic_write_text, escapes
from mri_cyclegan.inference.description import (
    FILE_NAME,
    FORMAT_VERSION,
    EvaluationSummary,
    ModelDescription,
    weights_name,
)
from mri_cyclegan.inference.read_description import read_description
from mri_cyclegan.inference.scan_translator import ScanTranslator
from mri_cyclegan.inference.synthetic_image import synthetic_image
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.inference.weights import load_networks
from mri_cyclegan.networks.registry import GENERATORS


@dataclass(frozen=True)
class PortableModel:
    """A trained model, ready for use.

    Attributes:
        folder: folder of the model.
        networks: direction (``"ab"``, ``"ba"``) to a network that maps a slice and its k neighbors on either side,
            (B, 2k + 1, H, W) in [-1, 1], to the translated slice, (B, 1, H, W).
        description: content of ``model.json``.
        slice_bytes: upper bound on the memory of a network's feature maps for one slice, in bytes.
    """

    folder: Path
    networks: Mapping[str, nn.Module]
    description: ModelDescription
    slice_bytes: int

    @property
    def contrasts(self) -> tuple[str, str]:
        """Names of a and b."""
        return self.description.contrasts.a, self.description.contrasts.b

    @property
    def preprocessing(self) -> Preprocessing:
        """How volumes become slices."""
        settings = self.description.preprocessing
        return Preprocessing(settings.plane, settings.spacing_mm, settings.image_size)

    @property
    def num_adjacent(self) -> int:
        """Number of neighbors on either side of a slice that the networks see, k."""
        return self.description.preprocessing.num_adjacent_slices

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each direction's weights."""
        return self.description.hashes

    def translator(self, device: torch.device | str = "cpu") -> VolumeTranslator:
        """Return a translator of whole volumes."""
        return VolumeTranslator(self.networks, self.preprocessing, self.num_adjacent, device, self.slice_bytes)

    def translate(
        self,
        path: str | Path,
        direction: str | None = None,
        *,
        value_range: str = "unit",
        device: torch.device | str = "cpu",
        options: ReadOptions = ReadOptions(),
    ) -> nibabel.Nifti1Image:
        """Translate one scan.

        Args:
            path: NIfTI file, gray picture, or folder with one DICOM series.
            direction: ``"ab"`` or ``"ba"``; None infers it from the file name, such as ``sub-07_T1w.nii.gz``.
            value_range: ``"unit"`` for [0, 1], the head's darkest to its brightest; ``"reference"`` for the typical
                intensities of the target contrast's training scans.
            device: compute device.
            options: how to read ambiguous files.

        Returns:
            Float32 image with the shape and affine of the scan, 0 in the background, marked as synthetic in its header.

        Raises:
            ValueError: the file cannot be used, or the direction is unknown; the message names the file and the remedy.

        >>> model = load_model(example_model)
        >>> image = model.translate(example_scan)
        >>> image.shape, str(image.header["descrip"].astype(str))
        ((20, 24, 16), 'SYNTHETIC T2w from T1w, not for diagnostic use')
        """
        translation = ScanTranslator([self], device=device, options=options)(path, direction)
        return synthetic_image(translation, value_range)


def save_model(
    folder: str | Path,
    generators: Mapping[str, nn.Module],
    architectures: Mapping[str, Mapping[str, Any]],
    description: Mapping[str, Any],
) -> None:
    """Write ``generator_ab.safetensors``, ``generator_ba.safetensors`` and ``model.json``.

    Args:
        folder: created if missing.
        generators: ``"ab"`` and ``"ba"`` to network.
        architectures: ``"ab"`` and ``"ba"`` to the result of :func:`architecture`.
        description: other entries of ``model.json``, at least ``code_version``, ``contrasts``, ``preprocessing`` and
            ``training``; see :class:`mri_cyclegan.inference.description.ModelDescription`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks = {}
    for direction, network in generators.items():
        path = folder / weights_name(direction)
        tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in network.state_dict().items()}
        content = save(tensors)
        atomic_write_bytes(path, content)
        digest = hashlib.sha256(content).hexdigest()
        networks[direction] = {**architectures[direction], "weights": path.name, "sha256": digest}
    model = ModelDescription.model_validate(
        {"format_version": FORMAT_VERSION, "generators": networks, **description}, strict=False
    )
    atomic_write_text(folder / FILE_NAME, model.as_json())


def architecture(target: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Name and arguments of a generator, for its entry in ``model.json``.

    Args:
        target: full name of its class, module included.
        arguments: constructor arguments: numbers, strings, booleans, None, and lists of them.

    >>> architecture("mri_cyclegan.networks.unet.UNet", {"depth": 2})
    {'name': 'UNet', 'arguments': {'depth': 2}}
    >>> architecture("my_lab.nets.UNet", {"width": 2})["name"]
    'my_lab.nets.UNet'
    """
    name = target.rpartition(".")[2]
    is_generated_file = name in GENERATORS and target == f"{GENERATORS[name].__module__}.{name}"
    return {"name": name if is_generated_file else target, "arguments": dict(arguments)}


def save_evaluation(folder: Path, evaluation: EvaluationSummary) -> None:
    """Store evaluation results in a model's ``model.json``, replacing earlier ones."""
    description = read_description(folder).model_copy(update={"evaluation": evaluation})
    atomic_write_text(folder / FILE_NAME, description.as_json())


def model_folder(folder: str | Path) -> Path:
    """Return the ``model/`` folder of a run, or the folder itself if it has none.

    Raises:
        ValueError: ``model`` links out of the run's folder.
    """
    folder = Path(folder).expanduser()
    inner = folder / "model"
    if not inner.is_dir():
        return folder
    if escapes(inner, folder):
        raise ValueError(f"{inner}: a link out of the run's folder. Give {inner.resolve()} itself if you trust it.")
    return inner


def load_model(folder: str | Path, trust: Iterable[str] = ()) -> PortableModel:
    """Load a model, both directions.

    Safe for untrusted folders: nothing in them is executed or unpickled, no file outside them is read, and sizes are
    checked before memory is allocated.

    Args:
        folder: a run's folder, or the ``model/`` folder in it.
        trust: generator classes of other packages to allow, such as ``my_lab.nets.Generator``; their code is executed.

    Raises:
        ValueError: the folder is not a model of this format, or its weights were changed.
    """
    trusted_classes.trust(trust)
    folder = model_folder(folder)
    description = read_description(folder)
    networks = load_networks(folder, description)
    return PortableModel(folder, networks.by_direction, description, networks.slice_bytes)
