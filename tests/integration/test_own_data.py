"""Runs on scans that are not the phantom: folders, PNG slices, sessions, no pairs."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from mri_cyclegan.train import train
from tests.integration.conftest import TOY


def head(seed, contrast, shape=(24, 28, 10)):
    """An ellipsoid with a bright or dark core."""
    random = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, size) for size in shape]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    core = radius < random.uniform(0.3, 0.5)
    image = np.where(radius < 0.85, 600.0, 0.0) + (300.0 if contrast == "T2w" else -300.0) * core
    return (image + random.normal(0, 15, shape)).clip(0).astype(np.int16)


def write_nifti(path, seed, contrast):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(head(seed, contrast), np.diag([8.0, 8.0, 8.0, 1.0])), path)


def test_a_plain_folder_of_two_paired_volumes(tmp_path, compose_run, caplog):
    for contrast in ("T1w", "T2w"):
        for seed, subject in enumerate(("sub-07", "sub-F#G 6692")):
            write_nifti(tmp_path / "data" / contrast / f"{subject}_{contrast}.nii.gz", seed, contrast)
    config = compose_run(
        tmp_path / "run", *TOY, "data=folder", f"data.root={tmp_path}/data", f"data.cache_root={tmp_path}/cache"
    )
    summary = train(config)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(split["subjects"]["train_a"]) == len(split["subjects"]["train_b"]) == 1
    assert split["subjects"]["train_a"] != split["subjects"]["train_b"]
    assert summary["mean"] == {}
    assert "no paired metrics" in caplog.text
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 2


def test_png_slices_without_pairs(tmp_path, compose_run):
    for contrast in ("T1", "T2"):
        (tmp_path / "data" / contrast).mkdir(parents=True)
        for seed in range(6):
            picture = head(seed, contrast + "w", shape=(40, 36, 3))[..., 1].astype(np.uint16) * 40
            Image.fromarray(picture).save(tmp_path / "data" / contrast / f"Image #{seed + 10}.png")
    config = compose_run(
        tmp_path / "run",
        *TOY,
        "data=png",
        f"data.root={tmp_path}/data",
        "data.contrasts=[T1,T2]",
        "data.spacing_mm=null",
        f"data.cache_root={tmp_path}/cache",
    )
    train(config)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert {name.split("/")[0] for name in split["subjects"]["train_a"]} == {"T1"}
    assert len(split["subjects"]["val"]) >= 1


def test_unfit_files_are_all_named_before_training(tmp_path, compose_run):
    for seed in range(3):
        for contrast in ("T1w", "T2w"):
            write_nifti(tmp_path / f"data/sub-{seed}/anat/sub-{seed}_{contrast}.nii.gz", seed, contrast)
    cut = tmp_path / "data/sub-0/anat/sub-0_T1w.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-500])
    (tmp_path / "data/sub-1/anat/sub-1_T2w.nii.gz").write_bytes(b"")
    config = compose_run(
        tmp_path / "run", *TOY, "data=bids", f"data.root={tmp_path}/data", f"data.cache_root={tmp_path}/cache"
    )
    with pytest.raises(ValueError, match="2 problems in 6 scans") as error:
        train(config)
    assert "sub-0_T1w.nii.gz" in str(error.value)
    assert "sub-1_T2w.nii.gz" in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()
