"""Runs on real scans, a few batches each."""

import json
import shutil

import pytest

from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
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
    assert summary["measured_on"] == "40 validation subjects, on whom the epoch was chosen, 40 with pairs"
    # Copying the source is worse than chance in SSIM: the two contrasts are nearly inverse.
    assert summary["mean"]["copy"]["ab"]["ssim"] == pytest.approx(-0.12, abs=0.05)
    assert summary["mean"]["copy"]["ba"]["ssim"] == pytest.approx(-0.11, abs=0.05)
    # Figures of other people of the same study: mean image 0.62 and 0.68, voxel-wise oracle 0.44 and 0.67.
    assert summary["mean"]["mean image"]["ab"]["ssim"] == pytest.approx(0.62, abs=0.05)
    assert summary["mean"]["mean image"]["ba"]["ssim"] == pytest.approx(0.68, abs=0.05)
    assert summary["mean"]["oracle look-up table"]["ab"]["ssim"] == pytest.approx(0.44, abs=0.06)
    assert summary["mean"]["oracle look-up table"]["ba"]["ssim"] == pytest.approx(0.67, abs=0.06)
    content = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    levels = {(audit["name"], audit["way"]): audit["level"] for audit in content["audits"]}
    assert levels["Registration", "ab"] == levels["Pairing", None] == "green"
    assert levels["Slice consistency", "ab"] == "unknown"  # one slice a subject
    # Its validation people are all it has to evaluate. A scan of the same study is not unlike the training.
    (warning,) = content["warnings"]
    assert warning.startswith("The epoch was chosen on these subjects")


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


def test_a_session_as_it_was_acquired_lies_on_two_grids(real_data, tmp_path, toy_run):
    options = Options(part="all", data_root=real_data / "open_ms", pairs="grid")
    with pytest.raises(ValueError) as refusal:
        evaluate_runs([toy_run[0]], tmp_path, options)
    assert "sub-04_T2w.nii.gz: not on the grid of" in str(refusal.value)
    assert "sub-07" not in str(refusal.value)


def test_a_head_unlike_the_phantoms_is_flagged(real_data, tmp_path, toy_run):
    options = Options(part="all", data_root=real_data / "tcga")
    content = evaluate_runs([toy_run[0]], tmp_path, options).content
    (subject,) = content["subjects"]
    assert all(of_direction["out_of_domain"] for of_direction in subject["ways"].values())
    levels = {audit["name"]: audit["level"] for audit in content["audits"]}
    assert levels["Registration"] == "green"
