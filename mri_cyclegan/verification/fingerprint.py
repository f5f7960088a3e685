"""Summary statistics of each contrast's scans, and the settings that follow from them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import rankdata

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.verification.examination import AXES, NORMAL_AXIS, ScanExamination, ScanMeasurements

# Proposed image sizes are a multiple of this, so that a U-Net can halve them at least five times.
SIDE_MULTIPLE = 32
MAX_SIDE = 512
MAX_DEPTH = 8

# A scan votes for a plane if its slices are this many times thicker than its in-plane pixels.
THICK_SLICES = 1.5

# Slices with less foreground than this share of the fullest slice add little to training.
MIN_FOREGROUND_SHARE = 0.25

# Framing gives two contrasts away if the head's median extent differs by more than this share …
FRAMING_DIFFERENCE = 0.1
# … and, with at least this many scans of each contrast, the extent separates them with at least this ROC AUC.
MIN_SCANS_TO_RANK = 5
FRAMING_AUC = 0.9


@dataclass(frozen=True)
class ContrastFingerprint:
    """Statistics of one contrast's scans; measurements are medians over scans, triples follow :data:`AXES`.

    Attributes:
        num_subjects: number of subjects.
        num_scans: number of scans.
        shapes: array shape, as text, to number of scans; most common first.
        spacings_mm: voxel size, as text, to number of scans; most common first.
        orientations: axis codes to number of scans; most common first.
        field_of_view_mm: extent of the image.
        head_mm: extent of the foreground.
        num_cut: number of scans whose head touches the border of the field of view, for each axis.
        percentiles: foreground intensities at :data:`mri_cyclegan.verification.examination.PERCENTILES`.
        foreground_profile: plane to the foreground share at relative heights of the head.
    """

    num_subjects: int
    num_scans: int
    shapes: dict[str, int]
    spacings_mm: dict[str, int]
    orientations: dict[str, int]
    field_of_view_mm: tuple[float, ...]
    head_mm: tuple[float, ...]
    num_cut: tuple[int, ...]
    percentiles: tuple[float, ...]
    foreground_profile: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Proposal:
    """Settings that fit the scans.

    Attributes:
        plane: plane in which most scans were acquired; axial if their voxels are about isotropic.
        spacing_mm: pixel size of the coarser contrast, so that neither is upsampled; None for pictures.
        image_size: multiple of :data:`SIDE_MULTIPLE` that holds every head, at most :data:`MAX_SIDE`.
        depth: largest U-Net depth that the image size allows, at most :data:`MAX_DEPTH`.
        slice_range: relative heights of the head between which slices of both contrasts show enough foreground.
    """

    plane: str
    spacing_mm: float | None
    image_size: int
    depth: int
    slice_range: tuple[float, float]

    def overrides(self) -> list[str]:
        """The settings as overrides for the training command."""
        low, high = self.slice_range
        return [
            f"data.plane={self.plane}",
            f"data.spacing_mm={'null' if self.spacing_mm is None else f'{self.spacing_mm:g}'}",
            f"data.image_size={self.image_size}",
            f"data.slice_range=[{low:g},{high:g}]",
            f"generator.depth={self.depth}",
        ]


def fingerprint(examined: Sequence[ScanExamination], contrast: str) -> ContrastFingerprint:
    """Summarize the usable scans of a contrast, of which there must be at least one."""
    fit = [one for one in examined if one.facts is not None and one.scan.contrast == contrast]
    facts = [one.facts for one in fit if one.facts is not None]
    return ContrastFingerprint(
        num_subjects=len({one.scan.subject for one in fit}),
        num_scans=len(fit),
        shapes=_counted(" × ".join(map(str, one.shape)) for one in facts),
        spacings_mm=_counted(" × ".join(f"{size:.3g}" for size in one.spacing_mm) for one in facts),
        orientations=_counted(one.orientation for one in facts),
        field_of_view_mm=_medians([one.field_of_view_mm for one in facts]),
        head_mm=_medians([one.head_mm for one in facts]),
        num_cut=tuple(int(count) for count in np.sum([one.head_is_cut for one in facts], axis=0)),
        percentiles=_medians([one.percentiles for one in facts]),
        foreground_profile={plane: _medians([one.foreground_profile[plane] for one in facts]) for plane in NORMAL_AXIS},
    )


def propose(facts_by_contrast: Sequence[Sequence[ScanMeasurements]], pictures: bool) -> Proposal:
    """Propose settings that fit both contrasts.

    Args:
        facts_by_contrast: facts of every usable scan of a, and of b; neither is empty.
        pictures: whether the scans are pictures, whose pixel size is unknown.
    """
    every = [facts for of_contrast in facts_by_contrast for facts in of_contrast]
    plane = _plane(every)
    rows, columns = (axis for axis in range(3) if axis != NORMAL_AXIS[plane])
    if pictures:
        spacing = None
        pixels = max(max(one.canonical_shape[rows], one.canonical_shape[columns]) for one in every)
    else:
        medians = [
            median(max(one.canonical_spacing_mm[rows], one.canonical_spacing_mm[columns]) for one in of_contrast)
            for of_contrast in facts_by_contrast
        ]
        spacing = round(max(medians), 2)
        pixels = math.ceil(max(one.head_mm[axis] for one in every for axis in (rows, columns)) / spacing)
    size = min(MAX_SIDE, SIDE_MULTIPLE * math.ceil(pixels / SIDE_MULTIPLE))
    depth = max(depth for depth in range(1, MAX_DEPTH + 1) if size % 2**depth == 0)
    return Proposal(plane, spacing, size, depth, _slice_range(facts_by_contrast, plane))


def compare_framing(
    root: Path, contrasts: Sequence[str], facts_by_contrast: Sequence[Sequence[ScanMeasurements]]
) -> list[Finding]:
    """Return a warning for each axis along which the head's extent clearly differs between the contrasts."""
    findings = []
    for axis, name in enumerate(AXES):
        if max(one.canonical_shape[axis] for facts in facts_by_contrast for one in facts) == 1:
            continue
        extents = [np.array([one.head_mm[axis] for one in facts]) for facts in facts_by_contrast]
        middles = [float(np.median(extent)) for extent in extents]
        difference = abs(middles[0] - middles[1]) / max(middles)
        few = min(map(len, extents)) < MIN_SCANS_TO_RANK
        if difference > FRAMING_DIFFERENCE and (few or _auc(*extents) >= FRAMING_AUC):
            problem = (
                f"the head's {name} extent is {middles[0]:.0f} mm in {contrasts[0]}, {middles[1]:.0f} mm in "
                f"{contrasts[1]}: a discriminator can tell the contrasts apart by framing alone"
            )
            remedy = "Crop both to the same anatomy (e.g. with robustfov), or narrow data.slice_range."
            findings.append(Finding("warning", root, problem, remedy))
    return findings


def _counted(values: object) -> dict[str, int]:
    return dict(Counter(values).most_common())  # type: ignore[call-overload]


def _medians(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.median(np.array(rows), axis=0))


def _plane(facts: Sequence[ScanMeasurements]) -> str:
    """Plane in which most scans were acquired: that of their single slice, or of their thickest slices."""
    votes: Counter[str] = Counter({"axial": 0})
    for one in facts:
        thickness = {plane: one.canonical_spacing_mm[axis] for plane, axis in NORMAL_AXIS.items()}
        single = [plane for plane, axis in NORMAL_AXIS.items() if one.canonical_shape[axis] == 1]
        thickest = max(thickness, key=lambda plane: thickness[plane])
        others = [size for plane, size in thickness.items() if plane != thickest]
        if len(single) == 1:
            votes[single[0]] += 1
        elif thickness[thickest] > THICK_SLICES * max(others):
            votes[thickest] += 1
        else:
            votes["axial"] += 1
    return votes.most_common(1)[0][0]


def _slice_range(facts_by_contrast: Sequence[Sequence[ScanMeasurements]], plane: str) -> tuple[float, float]:
    enough = np.ones(len(facts_by_contrast[0][0].foreground_profile[plane]), dtype=bool)
    for facts in facts_by_contrast:
        profile = np.median([one.foreground_profile[plane] for one in facts], axis=0)
        enough &= profile >= MIN_FOREGROUND_SHARE * profile.max()
    shown = np.flatnonzero(enough) / (len(enough) - 1)
    if len(shown) < 2:
        return (0.0, 1.0)
    return (math.floor(shown[0] * 20) / 20, math.ceil(shown[-1] * 20) / 20)


def _auc(one: np.ndarray, other: np.ndarray) -> float:
    """ROC AUC of separating the two samples by a threshold, in [0.5, 1]."""
    ranks = rankdata(np.concatenate([one, other]))[: len(one)].sum()
    auc = (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))
    return float(max(auc, 1 - auc))
