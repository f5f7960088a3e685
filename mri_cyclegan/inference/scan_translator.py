"""Translate a scan file with one or several trained models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from mri_cyclegan.data.appearance import appearance, unlike_training
from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.reading import read_shape
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.inference.description import ModelDescription
from mri_cyclegan.inference.flicker import slice_flicker
from mri_cyclegan.inference.scan_direction import require_direction
from mri_cyclegan.inference.volume_translator import TEST_TIME_VIEWS, View, VolumeTranslator, translate_with_std

# Over all slices of a volume, such as 256 of 1024 × 1024. More would not fit into a laptop's memory.
MAX_PIXELS = 2**28


@dataclass(frozen=True)
class Translation:
    """A scan translated to the other contrast, and its provenance.

    Attributes:
        array: (X, Y, Z) float32, in [0, 1], on the scan's grid; 0 in the background.
        std: (X, Y, Z) float32, standard deviation over models and views; None for a single output.
        affine: (4, 4), affine of the scan.
        models: descriptions of the models used.
        num_outputs: number of outputs averaged in ``array``: models times views.
        direction: ``"ab"`` or ``"ba"``.
        source_low: scan intensity, in the file's units, at the lower end of the scale.
        source_high: the same for the upper end.
        warnings: warnings about the scan's file, one clause each.
        unlike_training: how the scan differs from a model's training scans, one clause each.
        output_flicker: flicker of the output, see :func:`mri_cyclegan.inference.flicker.slice_flicker`.
        source_flicker: flicker of the scan.
    """

    array: np.ndarray
    std: np.ndarray | None
    affine: np.ndarray
    models: Sequence[ModelDescription]
    num_outputs: int
    direction: str
    source_low: float
    source_high: float
    warnings: tuple[str, ...]
    unlike_training: tuple[str, ...]
    output_flicker: float | None
    source_flicker: float | None

    @property
    def contrasts(self) -> tuple[str, str]:
        """Names of source and target."""
        a, b = self.models[0].contrasts.a, self.models[0].contrasts.b
        return (a, b) if self.direction == "ab" else (b, a)


class TranslatingModel(Protocol):
    """Interface that a model needs here, as :class:`mri_cyclegan.inference.model.PortableModel` has it."""

    @property
    def folder(self) -> Path:
        """Folder of the model."""

    @property
    def description(self) -> ModelDescription:
        """Content of ``model.json``."""

    @property
    def contrasts(self) -> tuple[str, str]:
        """Names of a and b."""

    def translator(self, device: torch.device | str) -> VolumeTranslator:
        """Return a translator of whole volumes."""


class ScanTranslator:
    """Reads scans and translates them.

    Args:
        models: one model, or several whose outputs are averaged; they may be trained on different planes.
        uncertainty: whether to average each model's outputs over several views (test-time augmentation).
        device: compute device.
        options: how to read ambiguous files.

    Raises:
        ValueError: the models translate different contrasts.
    """

    def __init__(
        self,
        models: Sequence[TranslatingModel],
        *,
        uncertainty: bool = False,
        device: torch.device | str = "cpu",
        options: ReadOptions = ReadOptions(),
    ) -> None:
        for model in models[1:]:
            if model.contrasts != models[0].contrasts:
                raise ValueError(
                    f"{model.folder}: translates {' and '.join(model.contrasts)}, but {models[0].folder} "
                    f"{' and '.join(models[0].contrasts)}. Models work together only on the same contrasts."
                )
        self.models = models
        self.views: Sequence[View] = TEST_TIME_VIEWS if uncertainty else (View(),)
        self.options = options
        self.translators = [model.translator(device) for model in models]

    @property
    def descriptions(self) -> list[ModelDescription]:
        """Descriptions of the models."""
        return [model.description for model in self.models]

    @property
    def num_outputs(self) -> int:
        """Outputs per scan, one for each model and view; more than one are reduced to their mean and std."""
        return len(self.translators) * len(self.views)

    def __call__(
        self, path: str | Path, direction: str | None = None, on_progress: Callable[[float], None] = lambda share: None
    ) -> Translation:
        """Translate one scan.

        Args:
            path: NIfTI file, gray picture, or folder with one DICOM series.
            direction: ``"ab"`` or ``"ba"``; None infers it from the path.
            on_progress: called with the fraction of work done.

        Raises:
            ValueError: the file cannot be used, or the direction is unknown; the message names the file and the remedy.
        """
        path = Path(path).expanduser()
        direction = direction or require_direction(path, self.models[0].contrasts)
        if direction not in DIRECTIONS:
            raise ValueError(f"direction: expected ab or ba, got {direction!r}.")
        num_slices = self._num_slices(path)
        self._connect_progress(on_progress, num_slices)
        scaled, findings = read_scaled(path, self.options, "It shows nothing to translate.")
        array, std = translate_with_std(self.translators, scaled, direction, self.views)
        return self._assemble_translation(direction, scaled, [finding.problem for finding in findings], array, std)

    def _assemble_translation(
        self,
        direction: str,
        scaled: ScaledVolume,
        warnings: Sequence[str],
        array: np.ndarray,
        std: np.ndarray | None,
    ) -> Translation:
        """Combine an output with its provenance, warnings and flicker."""
        seen = appearance(scaled)
        looks = [model.training.of(direction[0]).appearance for model in self.descriptions]
        unlike = dict.fromkeys(clause for one in looks for clause in unlike_training(seen, one.model_dump()))
        axis = self.translators[0].preprocessing.slice_axis(scaled.affine)
        output_flicker, source_flicker = (slice_flicker(one, scaled.foreground, axis) for one in (array, scaled.array))
        return Translation(
            array=array,
            std=std,
            affine=scaled.affine,
            models=self.descriptions,
            num_outputs=self.num_outputs,
            direction=direction,
            source_low=scaled.low,
            source_high=scaled.high,
            warnings=tuple(warnings),
            unlike_training=tuple(unlike),
            output_flicker=output_flicker,
            source_flicker=source_flicker,
        )

    def _num_slices(self, path: Path) -> int:
        """Number of slices the networks will process, by the header alone; raise if they do not fit into memory."""
        shape, affine = read_shape(path, self.options)
        total = 0
        for translator in self.translators:
            preprocessing = translator.preprocessing
            num_pixels = preprocessing.num_pixels(shape, affine)
            if num_pixels > MAX_PIXELS:
                problem = f"its slices would take {num_pixels:,} pixels; at most {MAX_PIXELS:,} are made"
                raise UnfitFile(path, problem, "Crop it, or use a model of larger pixels or smaller images.")
            total += preprocessing.num_slices(shape, affine) * len(self.views)
        return total

    def _connect_progress(self, on_progress: Callable[[float], None], num_slices: int) -> None:
        num_done = 0

        def count(num: int) -> None:
            nonlocal num_done
            num_done += num
            on_progress(num_done / num_slices)

        for translator in self.translators:
            translator.on_slices = count
