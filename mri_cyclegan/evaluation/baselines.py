"""Methods that need no training of networks: what a model must beat, and what a voxel-wise mapping could reach."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.histograms import NUM_BINS
from mri_cyclegan.evaluation.subjects.images import SubjectImages

EDGES = np.linspace(0, 1, NUM_BINS + 1)
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2

COPY, MEAN_IMAGE, MEAN_INTENSITY = "copy", "mean image", "mean intensity"
HISTOGRAM_MATCHING, ORACLE = "histogram matching", "oracle look-up table"


@dataclass(frozen=True)
class References:
    """What the reference methods of one direction know.

    Attributes:
        target_histogram: (256,) shares of foreground intensities of the training targets.
        mean_image: (N, H, W), mean of the training targets in [0, 1]; None where they do not lie on one grid.
        look_up_table: (256,), mean target intensity at each source intensity; None without pairs.
    """

    target_histogram: np.ndarray
    mean_image: np.ndarray | None
    look_up_table: np.ndarray | None

    def digest(self) -> str:
        """Hash of everything that shapes the predictions."""
        known = (self.target_histogram, self.mean_image, self.look_up_table)
        return hashlib.sha256(b"|".join(b"" if one is None else one.tobytes() for one in known)).hexdigest()

    def predict(self, images: SubjectImages) -> dict[str, np.ndarray]:
        """Predictions of every method; without a source, of the mean alone.

        Returns:
            Method to (N, H, W) float32, in [0, 1].
        """
        mean = np.full_like(images.output, self.target_histogram @ CENTRES)
        means = {MEAN_INTENSITY: mean} if self.mean_image is None else {MEAN_IMAGE: self.mean_image}
        source = images.source
        if source is None or images.source_foreground is None:
            return means
        matched = matched_to_histogram(source, images.source_foreground, self.target_histogram)
        predictions = {COPY: source, **means, HISTOGRAM_MATCHING: matched}
        if self.look_up_table is not None:
            predictions[ORACLE] = np.interp(source, CENTRES, self.look_up_table).astype(np.float32)
        return predictions


def matched_to_histogram(source: np.ndarray, foreground: np.ndarray, target_histogram: np.ndarray) -> np.ndarray:
    """Move intensities so that the foreground gets the target's histogram; their order stays.

    Args:
        source: in [0, 1], any shape.
        foreground: likewise, bool: where the histogram is taken; all of the image is moved.
        target_histogram: (256,) shares.

    Returns:
        float32, of the source's shape, in [0, 1].
    """
    counts, _ = np.histogram(source[foreground], EDGES)
    source_ranks = np.concatenate([[0], np.cumsum(counts) / counts.sum()])
    target_ranks = np.concatenate([[0], np.cumsum(target_histogram) / target_histogram.sum()])
    rising = np.concatenate([[True], np.diff(target_ranks) > 0])  # np.interp needs ranks that differ
    moved_edges = np.interp(source_ranks, target_ranks[rising], EDGES[rising])
    return np.interp(source, EDGES, moved_edges).astype(np.float32)


class LookUpTableFit:
    """Gathers E[target | source] over the foregrounds of targets, pair by pair."""

    def __init__(self) -> None:
        self.counts = np.zeros(NUM_BINS)
        self.sums = np.zeros(NUM_BINS)

    def add(self, source: np.ndarray, target: np.ndarray, foreground: np.ndarray) -> None:
        """Add a pair: two arrays of one shape in [0, 1], and the target's foreground."""
        bins = (source[foreground] * NUM_BINS).astype(np.intp).clip(0, NUM_BINS - 1)
        self.counts += np.bincount(bins, minlength=NUM_BINS)
        self.sums += np.bincount(bins, weights=target[foreground], minlength=NUM_BINS)

    def table(self) -> np.ndarray:
        """(256,); intensities that no source has take what lies between their neighbours."""
        known = self.counts > 0
        return np.interp(CENTRES, CENTRES[known], self.sums[known] / self.counts[known])


def mean_of(images: Iterable[np.ndarray]) -> np.ndarray | None:
    """Mean of images of one shape, one of them in memory at a time; None of none."""
    total, count = None, 0
    for image in images:
        total = image.astype(np.float64) if total is None else total + image
        count += 1
    return None if total is None else (total / count).astype(np.float32)
