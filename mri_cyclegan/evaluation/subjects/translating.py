"""A subject's scans through one or several trained models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mri_cyclegan.data.findings import EmptyScan, UnfitFile
from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation.evenly import evenly_spaced
from mri_cyclegan.evaluation.protocol import DIRECTIONS
from mri_cyclegan.evaluation.subjects.images import SubjectImages
from mri_cyclegan.evaluation.subjects.labels import read_lesions, read_tissues
from mri_cyclegan.evaluation.subjects.resampling import Grid, covered, in_plane_order, on_grid, slice_spacing_mm
from mri_cyclegan.evaluation.subjects.subject import Subject
from mri_cyclegan.inference.volume_translator import View, VolumeTranslator, translate_with_spread

# Heads of one person in one place overlap in nearly all of their voxels, whatever the contrast.
MIN_OVERLAP = 0.7


def read_scaled(path: Path, options: ReadOptions) -> ScaledVolume:
    """Read a scan and bring it to the common intensity scale.

    Raises:
        UnfitFile: it cannot be read, or shows nothing.
    """
    volume = read_volume(path, options)
    try:
        return scale_intensities(volume)
    except ValueError as error:
        raise EmptyScan(path, str(error), "It is left out.") from error


@dataclass(frozen=True)
class Translating:
    """Makes the images that an evaluation looks at.

    Attributes:
        translators: of the models; several make an ensemble.
        views: how each of them sees a volume; several are test-time augmentation.
        options: how doubtful files are read.
        labels_root: folder of the data set whose derivatives may hold labels.
    """

    translators: Sequence[VolumeTranslator]
    views: Sequence[View]
    options: ReadOptions
    labels_root: Path

    @property
    def plane(self) -> str:
        """Of the slices."""
        return self.translators[0].preprocessing.plane

    @property
    def generator_s(self) -> float:
        """Seconds spent in networks so far."""
        return sum(translator.generator_s for translator in self.translators)

    def read(self, subject: Subject) -> dict[str, ScaledVolume]:
        """Scans of a subject, ``"a"``, ``"b"`` or both.

        Raises:
            UnfitFile: a scan is unfit, or the two show no common head.
        """
        scaled = {letter: read_scaled(scan.path, self.options) for letter, scan in subject.scans.items()}
        if subject.is_paired:
            _require_overlap(subject, scaled)
        return scaled

    def images(self, subject: Subject, scaled: Mapping[str, ScaledVolume]) -> Iterator[tuple[str, SubjectImages]]:
        """Direction and images of each translation that the subject's scans allow."""
        for way in DIRECTIONS:
            if way[0] in scaled:
                yield way, self._images(subject, scaled[way[0]], scaled.get(way[1]), way)

    def _images(self, subject: Subject, source: ScaledVolume, target: ScaledVolume | None, way: str) -> SubjectImages:
        output, spread = translate_with_spread(self.translators, source, way, self.views)
        grid = Grid(source.array.shape, source.affine)
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
            covered=None if target is None else self.slices(covered(target.array.shape, target.affine, grid), grid),
            spread=None if spread is None else self.slices(spread, grid),
        )

    def slices(self, array: np.ndarray, grid: Grid) -> np.ndarray:
        """(X, Y, Z) on a scan's grid to (N, H, W) in the model's plane."""
        return in_plane_order(array, grid.affine, self.plane)

    def some_slices(self, source: ScaledVolume, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Slices as the networks see them, evenly spaced among those that show the head, and their foreground.

        Where the networks see neighbours too, the slices are neighbours in the middle of the head.
        """
        prepared = self.translators[0].preprocessing.slices_of(source)
        shown = np.flatnonzero(prepared.foreground.any(axis=(1, 2)))
        if self.translators[0].num_adjacent:
            start = max(0, (len(shown) - count) // 2)
            chosen = shown[start : start + count]
        else:
            chosen = shown[evenly_spaced(len(shown), count)]
        return prepared.slices[chosen], prepared.foreground[chosen]

    def through_network(self, slices: Tensor, way: str) -> Tensor:
        """(N, 1, H, W) neighbouring slices in [-1, 1] to the same, by the first model."""
        fakes = self.translators[0].translate_slices(np.ascontiguousarray(slices[:, 0].numpy()), way)
        return torch.from_numpy(fakes)[:, None]


def _require_overlap(subject: Subject, scaled: Mapping[str, ScaledVolume]) -> None:
    a, b = scaled["a"], scaled["b"]
    _, moved = on_grid(b, Grid(a.array.shape, a.affine))
    overlap = 2 * np.count_nonzero(moved & a.foreground) / (np.count_nonzero(moved) + np.count_nonzero(a.foreground))
    if overlap < MIN_OVERLAP:
        raise UnfitFile(
            subject.scans["b"].path,
            f"its head overlaps that of {subject.scans['a'].path} by only {100 * overlap:.0f} % (Dice): not registered",
            "Register the two, or leave the subject out with --skip-unfit.",
        )
