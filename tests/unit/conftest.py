from pathlib import Path

import nibabel
import numpy as np
import pytest


def head_array(shape, seed=0):
    """A bright ellipsoid with texture in dark noise: every slice through its middle shows a head."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    inside = sum((axis / radius) ** 2 for axis, radius in zip(axes, (0.7, 0.8, 0.75), strict=True)) < 1
    texture = 100 + 40 * axes[0] + 25 * axes[1] + 15 * axes[2] + random.normal(0, 2, shape)
    return np.where(inside, texture, random.uniform(0, 3, shape)).astype(np.float32)


@pytest.fixture
def head():
    """Makes (X, Y, Z) float32 head arrays."""
    return head_array


@pytest.fixture(scope="module")
def module_head():
    """As ``head``, for what a whole module shares."""
    return head_array


@pytest.fixture
def save_nifti():
    """Writes a NIfTI file with nibabel, its folders included, and returns its path."""

    def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
        return path

    return save
