import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mri_cyclegan.training.validation_metrics import PairedMetrics


def volumes(seed, num_slices=5, side=40):
    random = np.random.default_rng(seed)
    target = np.clip(random.normal(0.5, 0.2, (num_slices, side, side)), 0, 1)
    prediction = np.clip(target + random.normal(0, 0.1, target.shape), 0, 1)
    mask = np.zeros(target.shape, dtype=bool)
    # skimage and torchmetrics differ only in how they mirror the border, half a window wide.
    mask[1:, 8:-8, 9:-7] = random.random((num_slices - 1, side - 16, side - 16)) < 0.7
    return prediction, target, mask


def as_slices(array):
    return torch.from_numpy(array)[:, None]


def test_psnr_and_ssim_equal_scikit_image_over_the_mask_of_whole_volumes():
    metrics = PairedMetrics(num_cases=2)
    expected = {"psnr": [], "ssim": []}
    for case in range(2):
        prediction, target, mask = volumes(case)
        expected["psnr"].append(peak_signal_noise_ratio(target[mask], prediction[mask], data_range=1))
        maps = np.stack(
            [
                structural_similarity(
                    t, p, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
                )[1]
                for t, p in zip(target, prediction)
            ]
        )
        expected["ssim"].append(maps[mask].mean())
        for part in (slice(0, 3), slice(3, 5)):  # a volume may come in several batches
            metrics.update(
                as_slices(prediction[part] * 2 - 1).float(),
                as_slices(target[part] * 2 - 1).float(),
                as_slices(mask[part]),
                torch.full((mask[part].shape[0],), case),
            )
    result = metrics.compute()
    assert result["psnr"].tolist() == pytest.approx(expected["psnr"], abs=1e-4)
    assert result["ssim"].tolist() == pytest.approx(expected["ssim"], abs=1e-5)


def test_of_a_stack_the_center_slice_counts():
    slices, stacks = PairedMetrics(num_cases=1), PairedMetrics(num_cases=1)
    prediction, target, mask = (as_slices(array) for array in volumes(0))
    prediction, target = (image.float() * 2 - 1 for image in (prediction, target))
    other = torch.rand_like(target)
    case = torch.zeros(len(mask), dtype=torch.long)
    slices.update(prediction, target, mask, case)
    stacks.update(torch.cat([other, prediction, other], dim=1), torch.cat([-other, target, other], dim=1), mask, case)
    assert stacks.compute() == slices.compute()


def test_a_global_intensity_error_loses_its_points():
    """Normalizing each image by its own maximum would score this prediction as perfect."""
    _, target, mask = volumes(0)
    metrics = PairedMetrics(1)
    metrics.update(
        as_slices(0.85 * target * 2 - 1), as_slices(target * 2 - 1), as_slices(mask), torch.zeros(5, dtype=torch.long)
    )
    expected = 10 * np.log10(1 / np.mean((0.15 * target[mask]) ** 2))
    assert metrics.compute()["psnr"].item() == pytest.approx(expected, abs=1e-3)


def test_what_lies_outside_the_mask_does_not_count():
    prediction, target, mask = volumes(0)
    arguments = (as_slices(target * 2 - 1), as_slices(mask), torch.zeros(5, dtype=torch.long))
    scores = []
    for outside in (0.0, 1.0):
        changed = prediction.copy()
        changed[0] = outside  # a slice that the mask leaves out
        metrics = PairedMetrics(1)
        metrics.update(as_slices(changed * 2 - 1), *arguments)
        scores.append({key: value.item() for key, value in metrics.compute().items()})
    assert scores[0] == scores[1]
