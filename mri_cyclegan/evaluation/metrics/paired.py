"""The protocol's paired metrics, computed over whole volumes on the scan's own grid."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mri_cyclegan.evaluation.metrics.local_similarity import SSIMComponents, downsample_2x, num_scales
from mri_cyclegan.evaluation.protocol import METRICS

# Cap, reported for zero error: JSON has no infinity, and near 100 dB the only difference is float32 rounding.
MAX_PSNR_DB = 100.0

# Weight of each scale, finest first; Wang, Simoncelli and Bovik, Asilomar 2003. With fewer scales, the first weights
# are renormalized to sum 1.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Slices per chunk: bounds the memory for volumes of any size.
CHUNK = 16

# method → region → metric → value
Values = dict[str, dict[str, dict[str, float]]]


class _TargetScale(NamedTuple):
    """A chunk of the target at one scale.

    Attributes:
        similarity_to_target: compares a prediction with the chunk.
        weights: (R, N · H · W), for each of R regions, the share of each pixel that lies in it.
    """

    similarity_to_target: SSIMComponents
    weights: np.ndarray


def measure_paired(
    predictions: Mapping[str, np.ndarray], target: np.ndarray, regions: Mapping[str, np.ndarray]
) -> Values:
    """Measure several predictions of one target.

    - ``psnr`` (dB): 10 · log10(1 / MSE), at most 100.
    - ``ssim``: 2-D, Gaussian window of 11 pixels, σ 1.5, K1 0.01, K2 0.03, population covariance; mean of the map.
    - ``ms_ssim``: the same window at up to five scales, see
      :func:`mri_cyclegan.evaluation.metrics.local_similarity.num_scales`; each scale contributes the mean of its map,
      with coarse pixels weighted by the share of them that lies in the region.
    - ``mae``: mean absolute error. ``nmse``: sum of squared errors over the target's sum of squares.
    - ``nmi``: Studholme's normalized mutual information, 64 bins, in [1, 2].
    - metrics that other packages add to :data:`mri_cyclegan.evaluation.protocol.METRICS`.

    Each is computed over a region of the whole volume, never slice by slice.

    Args:
        predictions: method to (N, H, W), in [0, 1].
        target: (N, H, W), in [0, 1].
        regions: name to (N, H, W) bool mask, none empty.

    Returns:
        method → region → metric → value.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004.
        Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", Asilomar 2003.
    """
    masks = np.stack(list(regions.values()))
    assert masks.any(axis=(1, 2, 3)).all()
    count = num_scales(target.shape[1:])
    sums = {method: np.zeros((3 + count, len(masks))) for method in predictions}
    totals = np.zeros((1 + count, len(masks)))
    for start in range(0, len(target), CHUNK):
        part = slice(start, start + CHUNK)
        exact = target[part].astype(np.float64)
        scales = _scales(exact, masks[:, part].astype(np.float64), count)
        totals += [scales[0].weights @ (exact**2).ravel(), *(scale.weights.sum(axis=1) for scale in scales)]
        for method, prediction in predictions.items():
            sums[method] += _region_sums(prediction[part].astype(np.float64), exact, scales)
    alone = {name: metric.measure for name, metric in METRICS.items() if metric.measure is not None}
    values: Values = {}
    for method, prediction in predictions.items():
        means = _metrics(sums[method], totals)
        values[method] = {
            region: {name: float(value[number]) for name, value in means.items()}
            | {name: float(measure(prediction, target, mask)) for name, measure in alone.items()}
            for number, (region, mask) in enumerate(regions.items())
        }
    return values


def _scales(target: np.ndarray, weights: np.ndarray, count: int) -> list[_TargetScale]:
    scales = []
    for _ in range(count):
        scales.append(_TargetScale(SSIMComponents(target), weights.reshape(len(weights), -1)))
        target, weights = downsample_2x(target), downsample_2x(weights)
    return scales


def _region_sums(prediction: np.ndarray, target: np.ndarray, scales: list[_TargetScale]) -> np.ndarray:
    """Sums over each region of, in this order, squared error, absolute error, SSIM, and the map of each scale."""
    error = prediction - target
    maps = []
    for scale in scales:
        maps.append(scale.similarity_to_target(prediction))
        prediction = downsample_2x(prediction)
    ssim = maps[0][0] * maps[0][1]
    by_scale = [contrast_structure for _, contrast_structure in maps[:-1]] + [maps[-1][0] * maps[-1][1]]
    sums = [scales[0].weights @ image.ravel() for image in (error**2, np.abs(error), ssim)]
    return np.stack(sums + [scale.weights @ image.ravel() for scale, image in zip(scales, by_scale, strict=True)])


def _metrics(sums: np.ndarray, totals: np.ndarray) -> dict[str, np.ndarray]:
    energy, num_voxels = totals[0], totals[1]
    squared_error, absolute_error, similarity = sums[:3]
    factors = np.clip(sums[3:] / totals[1:], 0, None)  # a fractional power of a negative mean is undefined
    weights = np.array(SCALE_WEIGHTS[: len(factors)])
    with np.errstate(divide="ignore"):
        psnr = -10 * np.log10(squared_error / num_voxels)
    return {
        "psnr": np.minimum(psnr, MAX_PSNR_DB),
        "ssim": similarity / num_voxels,
        "ms_ssim": np.prod(factors ** (weights / weights.sum())[:, None], axis=0),
        "mae": absolute_error / num_voxels,
        "nmse": squared_error / np.maximum(energy, np.finfo(float).tiny),
    }
