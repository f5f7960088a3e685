"""Translates and measures one subject with the models of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from mri_cyclegan.data.appearance import appearance, unlike_training
from mri_cyclegan.data.grids import Grid
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.evaluation.audits.hidden_code import measure_hidden_code
from mri_cyclegan.evaluation.baselines import FittedBaselines
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.finished_run import FinishedRun
from mri_cyclegan.evaluation.metrics.features import image_features
from mri_cyclegan.evaluation.metrics.subject_matching import downsample
from mri_cyclegan.evaluation.subject_metrics import image_statistics, measure_direction
from mri_cyclegan.evaluation.subjects.images import SubjectImages
from mri_cyclegan.evaluation.subjects.records import Record
from mri_cyclegan.evaluation.subjects.slice_order import slice_spacing_mm
from mri_cyclegan.evaluation.subjects.subject import Subject
from mri_cyclegan.evaluation.subjects.subject_translator import SubjectTranslator

METHOD = "CycleGAN"

# Increases whenever the same settings would give a different record.
VERSION = 3

# Slices per subject for the hidden-code audit and the feature network; bounds their time.
NUM_AUDITED_SLICES = 16


@dataclass(frozen=True)
class RunMetrics:
    """Computes the record of a subject.

    Attributes:
        run: the evaluated run, or the first of an ensemble.
        translating: reads and translates the subject's scans.
        references: direction to its reference methods.
        feature_network: for FID and KID; None skips them.
    """

    run: FinishedRun
    translating: SubjectTranslator
    references: Mapping[str, FittedBaselines]
    feature_network: nn.Module | None

    def __call__(self, subject: Subject) -> Record:
        """Translate and measure a subject in every direction for which it has a source scan.

        Raises:
            UnfitFile: a scan is unfit, or source and target are not aligned.
        """
        began, generator_s = perf_counter(), self.translating.generator_s
        scaled, pairing = self.translating.read(subject)
        arrays: dict[str, np.ndarray] = {}
        values: dict[str, Any] = {
            "subject": subject.name,
            "session": subject.session,
            "scan": subject.scan,
            "files": {letter: str(scan.path) for letter, scan in subject.scans.items()},
            "pairing": pairing,
            "real": {letter: self._describe_real(volume, letter, arrays) for letter, volume in scaled.items()},
            "doubts": [
                str(warning.of(subject.scans[letter].path))
                for letter, volume in scaled.items()
                for warning in volume.warnings
            ],
            "ways": {},
        }
        for direction, images in self.translating.images(subject, scaled):
            measured = self._measure(images, scaled[direction[0]], direction, arrays)
            now, generator_now = perf_counter(), self.translating.generator_s
            measured["seconds"] = {"generator": generator_now - generator_s, "total": now - began}
            began, generator_s = now, generator_now
            values["ways"][direction] = measured
        return Record(values, arrays)

    def _describe_real(self, scaled: ScaledVolume, letter: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        grid = Grid(scaled.array.shape, scaled.affine)
        array, foreground = (self.translating.slices(image, grid) for image in (scaled.array, scaled.foreground))
        spacing_mm = slice_spacing_mm(grid.affine, self.translating.plane)
        arrays[f"reduced_{letter}"] = downsample(array, spacing_mm)
        self._add_features(array, foreground, letter, arrays)
        return image_statistics(array, foreground, spacing_mm)

    def _measure(
        self, images: SubjectImages, source: ScaledVolume, direction: str, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        predictions = {METHOD: images.output}
        if images.target is not None:
            predictions |= self.references[direction].predict(images)
        measured = measure_direction(images, predictions)
        measured["audits"]["hidden_code"] = self._hidden_code(source, direction)
        training = self.run.model.description.training.of(direction[0]).appearance.model_dump()
        measured["out_of_domain"] = unlike_training(appearance(source), training)
        arrays[f"reduced_{direction}"] = downsample(images.output, images.spacing_mm)
        self._add_features(images.output, images.foreground, direction, arrays)
        return measured

    def _hidden_code(self, source: ScaledVolume, direction: str) -> dict[str, Any]:
        slices, foreground = self.translating.some_slices(source, NUM_AUDITED_SLICES)
        return measure_hidden_code(
            torch.from_numpy(slices)[:, None],
            torch.from_numpy(foreground)[:, None],
            lambda images: self.translating.through_network(images, direction),
            lambda images: self.translating.through_network(images, direction[::-1]),
        )

    def _add_features(
        self, array: np.ndarray, foreground: np.ndarray, name: str, arrays: dict[str, np.ndarray]
    ) -> None:
        if self.feature_network is None:
            return
        shown = np.flatnonzero(foreground.any(axis=(1, 2)))
        chosen = shown[evenly_spaced(len(shown), NUM_AUDITED_SLICES)]
        images = torch.from_numpy(np.ascontiguousarray(array[chosen]))[:, None]
        device = next(self.feature_network.parameters()).device
        arrays[f"features_{name}"] = image_features(self.feature_network, images.to(device)).cpu().numpy()
