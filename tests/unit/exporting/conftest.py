import pytest
from example_model.models import make_model

from mri_cyclegan.exporting.monai_bundle import write_bundle
from mri_cyclegan.inference.model import load_model

STACKS = {"in_channels": 3, "out_channels": 3}


@pytest.fixture
def model_of(tmp_path):
    """Makes a model of 16-pixel slices: of its generators' arguments, and settings of preprocessing."""

    def make(arguments=None, description=None, **preprocessing):
        folder = tmp_path / "model"
        make_model(folder, arguments, description, **({"image_size": 16, "spacing_mm": 8.0} | preprocessing))
        return load_model(folder)

    return make


@pytest.fixture(
    params=[
        ({}, {"spacing_mm": None}),
        ({"upsample": "resize", "depth": 4, "dropout": 0.5}, {}),
        ({"full_resolution_skip": False, **STACKS, "out_channels": 1}, {"num_adjacent_slices": 1, "plane": "sagittal"}),
        ({"upsample": "resize", "full_resolution_skip": False, **STACKS}, {"num_adjacent_slices": 1}),
    ],
    ids=["transposed", "resize, as deep as it goes", "stacks to slices, no skip", "stacks to stacks, resize, no skip"],
)
def any_model(request, model_of):
    """Models of every kind; the deepest narrows the image to one pixel."""
    arguments, preprocessing = request.param
    return model_of(arguments, **preprocessing)


@pytest.fixture
def bundle_of(tmp_path):
    """Writes a model's bundle."""

    def write(model):
        folder = tmp_path / "bundle"
        folder.mkdir()
        write_bundle(model, folder)
        return folder

    return write
