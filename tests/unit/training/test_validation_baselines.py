from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mri_cyclegan.training.validation_baselines import copy_source, mean_intensity, score_translators


def volume(seed):
    random = np.random.default_rng(seed)
    slices = random.uniform(-1, 1, (3, 20, 20)).astype(np.float32)
    return SimpleNamespace(slices=slices, foreground=random.random(slices.shape) < 0.6)


def test_copy_is_the_source():
    image = torch.randn(1, 1, 4, 4)
    assert torch.equal(copy_source(image), image)


def test_mean_is_that_of_all_foreground_voxels_of_the_training_targets():
    volumes = [volume(0), volume(1)]
    values = np.concatenate([v.slices[v.foreground] for v in volumes])
    prediction = mean_intensity(volumes)(torch.zeros(2, 1, 4, 4))
    assert prediction.shape == (2, 1, 4, 4)
    assert prediction.unique().tolist() == pytest.approx([values.mean()], abs=1e-6)


def test_measure_takes_source_target_and_mask_of_each_direction():
    a, b = volume(0), volume(1)
    batch = {
        "a": torch.from_numpy(a.slices)[:, None],
        "b": torch.from_numpy(b.slices)[:, None],
        "foreground_a": torch.from_numpy(a.foreground)[:, None],
        "foreground_b": torch.from_numpy(b.foreground)[:, None],
        "case": torch.zeros(3, dtype=torch.long),
    }
    scores = score_translators(
        {"zero": {"ab": torch.zeros_like, "ba": torch.zeros_like}}, [batch], 1, torch.device("cpu")
    )
    for direction, target in (("ab", b), ("ba", a)):
        expected = -10 * np.log10(np.mean((target.slices[target.foreground] / 2) ** 2))
        assert scores["zero"][direction]["psnr"] == pytest.approx([float(expected)], abs=1e-4)
