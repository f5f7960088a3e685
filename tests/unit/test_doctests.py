"""Examples in docstrings say what happens."""

import doctest
import importlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from example_model.models import make_model

import mri_cyclegan
from mri_cyclegan.inference.model import load_model

ROOT = Path(mri_cyclegan.__file__).parent
MODULES = sorted(
    "mri_cyclegan." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory, module_head):
    folder = tmp_path_factory.mktemp("examples")
    make_model(folder / "model", image_size=24)
    scan = folder / "sub-01_T1w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(module_head((20, 24, 16)), np.eye(4)), scan)
    return {"example_model": folder / "model", "example_scan": scan, "load_model": load_model}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, examples):
    module = importlib.import_module(name.removesuffix(".__init__"))
    outcome = doctest.testmod(module, extraglobs=examples)
    assert outcome.attempted > 0
    assert outcome.failed == 0
