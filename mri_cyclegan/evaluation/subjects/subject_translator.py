"""Translates a subject's scans with one model or an ensemble."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mri_cyclegan.data.aligned import align, grid_of, on_grid
from mri_cyclegan.data.grids import Grid, inside_field_of_view
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.subjects.images import SubjectImages
from mri_cyclegan.evaluation.subjects.labels import read_lesions, read_tissues
from mri_cyclegan.evaluation.subjects.slice_order import in_plane_order, slice_spacing_mm
from mri_cyclegan.evaluation.subjects.subject import Subject
from mri_cyclegan.inference.volume_translator import View, VolumeTranslator, translate_with_std


@dataclass(frozen=True)
class SubjectTranslator:
    """Reads a subject's scans and makes the images to measure.

    Attributes:
        translators: one per model; several make an ensemble.
        views: flips and shifts of the input; several make test-time augmentation.
        options: how incomplete or unusual files are read.
        labels_root: folder of the data set whose derivatives may hold labels.
        rule: how scans on different grids are compared, see :data:`mri_cyclegan.data.pairs.RULES`.
    """

    translators: Sequence[VolumeTranslator]
    views: Sequence[View]
    options: ReadOptions
    labels_root: Path
    rule: str

    @property
    def plane(self) -> str:
        """Slice plane of the models."""
        return self.translators[0].preprocessing.plane

    @property
    def generator_s(self) -> float:
        """Seconds spent in the generators so far."""
        return sum(translator.generator_s for translator in self.translators)

    def read(self, subject: Subject) -> tuple[dict[str, ScaledVolume], dict[str, Any] | None]:
        """Read a subject's scans, ``"a"``, ``"b"`` or both, and align them if there are two.

        Returns:
            The scans, and how they were aligned: None without a pair or on one grid; else ``difference``, text, and
            ``registration``, see :class:`mri_cyclegan.data.register.Registration`, None if their affines were trusted.

        Raises:
            UnfitFile: a scan is unfit, or the two do not show the same head.
        """
        scaled = {letter: read_scaled(scan.path, self.options)[0] for letter, scan in subject.scans.items()}
        if not subject.is_paired:
            return scaled, None
        path_a, path_b = (subject.scans[letter].path for letter in "ab")
        aligned = align(scaled["a"], scaled["b"], self.rule, path_a, path_b)
        return {"a": scaled["a"], "b": aligned.b}, aligned.as_json()

    def images(self, subject: Subject, scaled: Mapping[str, ScaledVolume]) -> Iterator[tuple[str, SubjectImages]]:
        """Translate a subject; yields direction and images for each direction with a source scan."""
        for direction in DIRECTIONS:
            if direction[0] in scaled:
                yield direction, self._images(subject, scaled[direction[0]], scaled.get(direction[1]), direction)

    def _images(
        self, subject: Subject, source: ScaledVolume, target: ScaledVolume | None, direction: str
    ) -> SubjectImages:
        output, std = translate_with_std(self.translators, source, direction, self.views)
        grid = grid_of(source)
        truth, foreground = (None, source.foreground) if target is None else on_grid(target, grid)
        lesions = read_lesions(self.labels_root, subject.name, subject.session, subject.scan, grid)
        tissues = read_tissues(self.labels_root, subject.name, subject.session, subject.scan, grid)
        return SubjectImages(
            subject=subject.name,
            source=self.slices(source.array, grid),
            output=self.slices(output, grid),
            target=None if truth is None else self.slices(truth, grid),
            foreground=self.slices(foreground, grid),
            source_foreground=self.slices(source.foreground, grid),
            spacing_mm=slice_spacing_mm(grid.affine, self.plane),
            tissues=None if tissues is None else self.slices(tissues[0], grid),
            tissue_names={} if tissues is None else tissues[1],
            lesions=None if lesions is None else self.slices(lesions, grid),
            covered=None if target is None else self.slices(inside_field_of_view(grid_of(target), grid), grid),
            std=None if std is None else self.slices(std, grid),
        )

    def slices(self, array: np.ndarray, grid: Grid) -> np.ndarray:
        """Reorder (X, Y, Z) on a scan's grid into (N, H, W) slices in the model's plane."""
        return in_plane_order(array, grid.affine, self.plane)

    def some_slices(self, source: ScaledVolume, count: int) -> tuple[np.ndarray, np.ndarray]:
        """At most ``count`` preprocessed slices that contain foreground, evenly spaced, and their foreground.

        If the networks take adjacent slices as input, the slices are consecutive ones from the middle of the head.
        """
        prepared = self.translators[0].preprocessing.slices_of(source)
        shown = np.flatnonzero(prepared.foreground.any(axis=(1, 2)))
        if self.translators[0].num_adjacent:
            start = max(0, (len(shown) - count) // 2)
            chosen = shown[start : start + count]
        else:
            chosen = shown[evenly_spaced(len(shown), count)]
        return prepared.slices[chosen], prepared.foreground[chosen]

    def through_network(self, slices: Tensor, direction: str) -> Tensor:
        """Translate consecutive slices, (N, 1, H, W) in [-1, 1], with the first model; same shape and range."""
        fakes = self.translators[0].translate_slices(np.ascontiguousarray(slices[:, 0].numpy()), direction)
        return torch.from_numpy(fakes)[:, None]
