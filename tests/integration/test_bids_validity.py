"""Data sets that are written are valid BIDS, by the validator of those who make the standard."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from example_model.models import make_model

from mri_cyclegan import translate
from mri_cyclegan.data.phantom import Phantom

# What is recommended where there is nothing to say: what was computed has no authors, and a made mask no source.
TOLERATED = {
    ("TOO_FEW_AUTHORS", None),
    ("README_FILE_MISSING", None),
    ("SIDECAR_KEY_RECOMMENDED", "Sources"),
    ("SIDECAR_KEY_RECOMMENDED", "Description"),
}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    settings = dict(spacing_mm=8.0, lesion_share=1.0, noise=0.02, bias_strength=0.1, seed=0)
    return Phantom(num_train=2, num_val=1, num_test=1, **settings).write(tmp_path_factory.mktemp("phantom"))


def issues(folder):
    """Severity, code and further code of everything that the validator finds, but what is tolerated."""
    words = [Path(sys.executable).with_name("bids-validator-deno"), "--format", "json", folder]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=120)
    found = json.loads(done.stdout)["issues"]["issues"]
    listed = {(one["severity"], one["code"], one.get("subCode")) for one in found}
    assert (done.returncode == 0) == all(severity != "error" for severity, *_ in listed)
    return {one for one in listed if one[0] == "error" or one[1:] not in TOLERATED}


def test_the_phantom_is_valid_and_so_are_its_masks_and_labels(phantom):
    for folder in (phantom, phantom / "derivatives" / "lesions", phantom / "derivatives" / "tissues"):
        assert issues(folder) == set()


def test_a_derivative_is_valid_and_takes_over_what_the_sidecar_of_the_whole_data_set_says(phantom, tmp_path, run_app):
    make_model(tmp_path / "model", image_size=32, spacing_mm=8.0)
    status, output = run_app(translate.app, tmp_path / "model", phantom, tmp_path / "out", "--uncertainty")
    assert status == 0, output
    sidecars = sorted((tmp_path / "out").glob("sub-*/anat/*.json"))
    assert len(sidecars) == 12
    assert all(json.loads(path.read_text(encoding="utf-8"))["SkullStripped"] is True for path in sidecars)
    assert issues(tmp_path / "out") == set()
