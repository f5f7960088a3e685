"""Fits the reference methods of a run on its training scans and on pairs."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mri_cyclegan.data.aligned import grid_of, on_grid
from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.grids import Grid, grid_difference
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_shape
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.baselines import FittedBaselines, LookUpTableFit, mean_of
from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced
from mri_cyclegan.evaluation.finished_run import FinishedRun
from mri_cyclegan.evaluation.subjects.records import Record, RecordFolder
from mri_cyclegan.evaluation.subjects.subject import Subject
from mri_cyclegan.evaluation.subjects.subject_translator import SubjectTranslator

log = logging.getLogger(__name__)

# Enough for a stable mean image, and it bounds the time.
MAX_MEAN_SCANS = 50

KEY = "_references"


def fit_references(
    run: FinishedRun,
    translating: SubjectTranslator,
    training_scans: Mapping[str, Sequence[Scan]],
    evaluated: Sequence[Subject],
    look_up_table_subjects: Sequence[Subject],
    records: RecordFolder,
) -> dict[str, FittedBaselines]:
    """Fit the reference methods of both directions, or load those an earlier start of this evaluation saved.

    Args:
        run: the evaluated run.
        translating: reads scans and orders their slices.
        training_scans: ``"a"`` and ``"b"`` to the training scans of that contrast that still exist.
        evaluated: subjects to evaluate.
        look_up_table_subjects: subjects whose pairs the look-up table is fitted on.
        records: cache of the evaluation.

    Returns:
        Direction to its fitted reference methods.
    """
    pairs = [subject for subject in look_up_table_subjects if subject.is_paired]
    aligned = {direction: _aligned(training_scans[direction[1]], evaluated, translating) for direction in DIRECTIONS}
    if not all(aligned.values()):  # both directions get the same methods
        aligned = {direction: [] for direction in DIRECTIONS}
    sources = [scan.path for scans in aligned.values() for scan in scans]
    sources += [path for subject in pairs for path in subject.paths]
    found = records.find(KEY, sources)
    if found is None:
        tables = _look_up_tables(translating, pairs)
        means = {direction: mean_of(_slices(translating, scans)) for direction, scans in aligned.items()}
        arrays = {f"table_{direction}": table for direction, table in tables.items()}
        arrays |= {f"mean_{direction}": mean for direction, mean in means.items() if mean is not None}
        found = Record({}, arrays)
        records.save(KEY, sources, found)
    return {
        direction: FittedBaselines(
            np.array(run.model.description.training.of(direction[1]).appearance.histogram),
            found.arrays.get(f"mean_{direction}"),
            found.arrays.get(f"table_{direction}"),
        )
        for direction in DIRECTIONS
    }


def _aligned(scans: Sequence[Scan], evaluated: Sequence[Subject], translating: SubjectTranslator) -> Sequence[Scan]:
    """Training scans for the mean image: a sample, if it and all evaluated pairs lie on one grid; else none."""
    paired = [scan for subject in evaluated if subject.is_paired for scan in subject.scans.values()]
    if not scans or not paired:
        return []
    chosen = [scans[place] for place in evenly_spaced(len(scans), MAX_MEAN_SCANS)]
    try:
        first, *others = (read_shape(scan.path, translating.options) for scan in [*chosen, *paired])
    except UnfitFile:
        return []
    return [] if any(grid_difference(first, grid) for grid in others) else chosen


def _slices(translating: SubjectTranslator, scans: Sequence[Scan]) -> Iterator[np.ndarray]:
    grid: Grid | None = None
    for scan in scans:
        try:
            scaled, _ = read_scaled(scan.path, translating.options)
        except UnfitFile as error:
            log.warning("%s It is left out of the mean image.", error)
            continue
        grid = grid or grid_of(scaled)  # same grid, but voxels may be stored in another order
        yield translating.slices(on_grid(scaled, grid)[0], grid)


def _look_up_tables(translating: SubjectTranslator, pairs: Sequence[Subject]) -> dict[str, np.ndarray]:
    fits = {direction: LookUpTableFit() for direction in DIRECTIONS}
    for subject in pairs:
        try:
            scaled, _ = translating.read(subject)
        except UnfitFile as error:
            log.warning("%s It is left out of the look-up table.", error)
            continue
        for direction, fit in fits.items():
            source, target = scaled[direction[0]], scaled[direction[1]]
            fit.add(source.array, *on_grid(target, grid_of(source)))
    return {direction: fit.table() for direction, fit in fits.items() if fit.counts.any()}
