"""Reference methods without a network: baselines a model must beat, and an oracle bound for voxel-wise mappings."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.histograms import NUM_BINS
from mri_cyclegan.evaluation.subjects.images import SubjectImages

EDGES = np.linspace(0, 1, NUM_BINS + 1)
BIN_CENTERS = (EDGES[:-1] + EDGES[1:]) / 2

COPY, MEAN_IMAGE, MEAN_INTENSITY = "copy", "mean image", "mean intensity"
HISTOGRAM_MATCHING, ORACLE = "histogram matching", "oracle look-up table"


@dataclass(frozen=True)
class FittedBaselines:
    """Fitted reference methods of one direction.

    Attributes:
        target_histogram: (256,), normalized histogram of the training targets' foreground intensities.
        mean_image: (N, H, W), mean of the training targets in [0, 1]; None unless they share one grid.
        look_up_table: (256,), mean target intensity at each source intensity; None without pairs.
    """

    target_histogram: np.ndarray
    mean_image: np.ndarray | None
    look_up_table: np.ndarray | None

    def digest(self) -> str:
        """SHA-256 of everything the predictions depend on."""
        known = (self.target_histogram, self.mean_image, self.look_up_table)
        return hashlib.sha256(b"|".join(b"" if one is None else one.tobytes() for one in known)).hexdigest()

    def predict(self, images: SubjectImages) -> dict[str, np.ndarray]:
        """Predict the target with every method; without a source, only with the mean.

        Returns:
            Method to (N, H, W) float32, in [0, 1].
        """
        mean = np.full_like(images.output, self.target_histogram @ BIN_CENTERS)
        means = {MEAN_INTENSITY: mean} if self.mean_image is None else {MEAN_IMAGE: self.mean_image}
        source = images.source
        if source is None or images.source_foreground is None:
            return means
        matched = match_histogram(source, images.source_foreground, self.target_histogram)
        predictions = {COPY: source, **means, HISTOGRAM_MATCHING: matched}
        if self.look_up_table is not None:
            predictions[ORACLE] = np.interp(source, BIN_CENTERS, self.look_up_table).astype(np.float32)
        return predictions


def match_histogram(source: np.ndarray, foreground: np.ndarray, target_histogram: np.ndarray) -> np.ndarray:
    """Map intensities monotonically so that the foreground's histogram matches the target's.

    Args:
        source: any shape, in [0, 1].
        foreground: bool, same shape: where the source histogram is taken; the mapping applies to the whole image.
        target_histogram: (256,), normalized.

    Returns:
        float32, same shape, in [0, 1].
    """
    counts, _ = np.histogram(source[foreground], EDGES)
    source_ranks = np.concatenate([[0], np.cumsum(counts) / counts.sum()])
    target_ranks = np.concatenate([[0], np.cumsum(target_histogram) / target_histogram.sum()])
    rising = np.concatenate([[True], np.diff(target_ranks) > 0])  # np.interp needs strictly increasing ranks
    moved_edges = np.interp(source_ranks, target_ranks[rising], EDGES[rising])
    return np.interp(source, EDGES, moved_edges).astype(np.float32)


class LookUpTableFit:
    """Accumulates E[target | source] over the target foregrounds, one pair at a time."""

    def __init__(self) -> None:
        self.counts = np.zeros(NUM_BINS)
        self.sums = np.zeros(NUM_BINS)

    def add(self, source: np.ndarray, target: np.ndarray, foreground: np.ndarray) -> None:
        """Add a pair: two arrays of the same shape in [0, 1], and the target's foreground."""
        bins = (source[foreground] * NUM_BINS).astype(np.intp).clip(0, NUM_BINS - 1)
        self.counts += np.bincount(bins, minlength=NUM_BINS)
        self.sums += np.bincount(bins, weights=target[foreground], minlength=NUM_BINS)

    def table(self) -> np.ndarray:
        """The table, (256,); intensities that no source has are interpolated from their neighbors."""
        known = self.counts > 0
        return np.interp(BIN_CENTERS, BIN_CENTERS[known], self.sums[known] / self.counts[known])


def mean_of(images: Iterable[np.ndarray]) -> np.ndarray | None:
    """Mean of images of the same shape, holding one in memory at a time; None if there are no images."""
    total, count = None, 0
    for image in images:
        total = image.astype(np.float64) if total is None else total + image
        count += 1
    return None if total is None else (total / count).astype(np.float32)
