import nibabel
import numpy as np
import pytest
from example_model.models import make_model

from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.scan_translator import Translation


@pytest.fixture
def translation(tmp_path):
    """Makes translations of a tiny model, with or without a spread."""
    make_model(tmp_path / "model")
    model = load_model(tmp_path / "model")

    def make(shape=(3, 4, 5), with_std=True):
        array = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        return Translation(
            array=array,
            std=array / 10 if with_std else None,
            affine=nibabel.affines.from_matvec(np.diag((0.9, 1.1, 3.0)), (4, -8, 21)),
            models=[model.description],
            num_outputs=5 if with_std else 1,
            direction="ab",
            source_low=12.0,
            source_high=812.0,
            warnings=(),
            unlike_training=(),
            output_flicker=None,
            source_flicker=None,
        )

    return make
