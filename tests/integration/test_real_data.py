"""Runs on real scans, a few batches each."""

import json
import shutil

import pytest

from mri_cyclegan.train import train

pytestmark = pytest.mark.realdata

SMALL = [
    "+experiment=demo",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=4",
    "data.num_workers=0",
    "generator.base_channels=4",
    "discriminator.base_channels=4",
]


def test_ixi_slices_with_their_own_split(real_data, tmp_path, compose_run):
    overrides = [
        "data=bids",
        f"data.root={real_data}/ixi64",
        "data.split_column=split",
        "data.spacing_mm=4",
        "data.image_size=64",
        f"data.cache_root={tmp_path}/cache",
    ]
    summary = train(compose_run(tmp_path / "run", *SMALL, *overrides))
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert [len(split["subjects"][part]) for part in ("train_a", "train_b", "val", "test")] == [180, 180, 40, 0]
    assert summary["measured_on"] == "40 val subjects, 40 with pairs"
    # Copying the source is worse than chance in SSIM: the two contrasts are nearly inverse.
    assert summary["mean"]["copy"]["ab"]["ssim"] == pytest.approx(-0.12, abs=0.05)
    assert summary["mean"]["copy"]["ba"]["ssim"] == pytest.approx(-0.11, abs=0.05)


def test_brainweb_pictures(real_data, tmp_path, compose_run):
    overrides = [
        "data=png",
        f"data.root={real_data}/brainweb_png",
        "data.contrasts=[T1,T2]",
        "data.spacing_mm=null",
        f"data.cache_root={tmp_path}/cache",
    ]
    train(compose_run(tmp_path / "run", *SMALL, *overrides))
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert sum(len(files) for files in split["files"].values()) == 89
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 2


def test_volumes_in_a_plain_folder(real_data, tmp_path, compose_run):
    sources = {
        "sub-07": real_data / "open_ms/sub-07/anat/sub-07_space-MNI_{}.nii.gz",
        "sub-FG6692": real_data / "tcga/sub-FG6692/anat/sub-FG6692_{}.nii.gz",
    }
    for contrast in ("T1w", "T2w"):
        (tmp_path / "data" / contrast).mkdir(parents=True)
        for subject, source in sources.items():
            shutil.copy(str(source).format(contrast), tmp_path / "data" / contrast / f"{subject}_{contrast}.nii.gz")
    overrides = ["data=folder", f"data.root={tmp_path}/data", f"data.cache_root={tmp_path}/cache"]
    train(compose_run(tmp_path / "run", *SMALL, *overrides))
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(split["subjects"]["train_a"]) == len(split["subjects"]["train_b"]) == 1
