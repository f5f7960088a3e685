import numpy as np
import pytest

from mri_cyclegan.evaluation.subjects.images import SubjectImages


@pytest.fixture
def subject_images():
    """Makes images whose foreground is everywhere, at 1 mm; the source is black unless given."""

    def make(output, target=None, **changes) -> SubjectImages:
        everywhere = np.ones(output.shape, bool)
        images = {
            "subject": "sub-01",
            "source": np.zeros(output.shape, np.float32),
            "output": output.astype(np.float32),
            "target": None if target is None else target.astype(np.float32),
            "foreground": everywhere,
            "source_foreground": everywhere,
            "spacing_mm": (1.0, 1.0, 1.0),
        }
        return SubjectImages(**images | changes)

    return make


@pytest.fixture
def ball():
    """Makes a bool mask of voxels within a radius of a center, both in mm."""

    def make(shape, center_mm, radius_mm, spacing_mm=(1.0, 1.0, 1.0)) -> np.ndarray:
        axes = np.meshgrid(*[np.arange(n) * mm for n, mm in zip(shape, spacing_mm)], indexing="ij")
        return sum((axis - center) ** 2 for axis, center in zip(axes, center_mm)) <= radius_mm**2

    return make
