import json
import re
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from mri_cyclegan.verify import app


def write_scan(path, seed, affine=None, shape=(24, 28, 20)):
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    inside = sum((axis / 0.8) ** 2 for axis in axes) < 1
    array = np.where(inside, 100 + 40 * axes[0] + random.normal(0, 2, shape), random.uniform(0, 3, shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.eye(4) if affine is None else affine), path)
    return path


@pytest.fixture
def data_set(tmp_path):
    """A clean BIDS data set: two subjects of one contrast each, one of both."""
    root = tmp_path / "my #1 set"
    for seed, (subject, contrast) in enumerate([("1", "T1w"), ("2", "T2w"), ("3", "T1w"), ("3", "T2w")]):
        write_scan(root / f"sub-{subject}" / "anat" / f"sub-{subject}_{contrast}.nii.gz", seed)
    return root


@pytest.fixture
def check(tmp_path):
    """Runs the command; returns exit status, output and the content of verify.json."""

    def run(*words):
        result = CliRunner().invoke(app, [*map(str, words), "--output", str(tmp_path / "report"), "--jobs", "1"])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        report = tmp_path / "report" / "verify.json"
        return result.exit_code, result.output, json.loads(report.read_text()) if report.is_file() else None

    return run


def test_a_clean_data_set_exits_0_and_gets_settings_to_paste(check, data_set, tmp_path):
    status, output, report = check(data_set, "--strict")
    assert status == 0
    assert (report["num_scans"], report["num_pairs"], report["num_errors"], report["num_warnings"]) == (4, 1, 0, 0)
    assert report["overrides"][:2] == ["data=bids", f'data.root="{data_set}"']
    assert "Settings that fit these scans" in output
    page = (tmp_path / "report" / "verify.html").read_text()
    assert page.count("data:image/webp;base64,") == 4
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing from elsewhere
    assert "Fit for training." in page


def test_the_proposed_settings_train(check, data_set, tmp_path, compose_run):
    from hydra.utils import instantiate

    _, _, report = check(data_set)
    config = compose_run(
        tmp_path / "run", *report["overrides"], f"data.cache_root={tmp_path}/cache", "data.val_share=0"
    )
    datamodule = instantiate(config.data)
    datamodule.prepare_data()
    datamodule.setup()
    size = report["proposal"]["image_size"]
    assert datamodule.train_slices[0, 0]["a"].shape == (1, size, size)
    foreground_lost = [volume.record["foreground_lost"] for volume in datamodule.train_slices.volumes_a]
    assert max(foreground_lost) == 0


def test_warnings_exit_0_and_1_when_strict(check, data_set):
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    write_scan(data_set / "sub-1" / "anat" / "sub-1_T1w.nii.gz", 9, sheared)
    assert check(data_set)[0] == 0
    status, output, report = check(data_set, "--strict")
    assert status == 1
    assert report["num_warnings"] == 1
    assert "sheared" in output


def test_every_error_is_reported_at_once_errors_first(check, data_set, tmp_path):
    anat = {number: data_set / f"sub-{number}" / "anat" for number in (1, 2, 3)}
    (anat[1] / "sub-1_run-2_T1w.nii.gz").write_bytes(b"")
    (anat[2] / "sub-2_run-2_T2w.nii").symlink_to(tmp_path / "gone")
    copy = anat[2] / "sub-2_run-3_T2w.nii.gz"
    copy.write_bytes((anat[3] / "sub-3_T2w.nii.gz").read_bytes())
    write_scan(anat[3] / "sub-3_T1w.nii.gz", 7, shape=(24, 28, 22))
    status, _, report = check(data_set)
    assert status == 2
    findings = [(one["severity"], one["path"].rpartition("/")[2]) for one in report["findings"]]
    assert [severity for severity, _ in findings] == sorted(severity for severity, _ in findings)
    assert {name for severity, name in findings if severity == "error"} == {
        "sub-1_run-2_T1w.nii.gz",
        "sub-2_run-2_T2w.nii",
        "sub-3_T2w.nii.gz",
    }
    assert ("warning", "sub-3_T1w.nii.gz") in findings  # on another grid
    assert "Not fit for training: 3 errors" in (tmp_path / "report" / "verify.html").read_text()
    for one in report["findings"]:
        assert one["problem"]
        assert one["remedy"]


def test_one_contrast_alone_is_an_error_of_the_data_set(check, data_set):
    for path in data_set.glob("sub-*/anat/*_T2w.nii.gz"):
        path.unlink()
    status, _, report = check(data_set)
    assert status == 2
    (finding,) = [one for one in report["findings"] if one["severity"] == "error"]
    assert finding["path"] == str(data_set)
    assert "found 2 of T1w, 0 of T2w" in finding["problem"]
    assert report["overrides"] == []


def test_one_subject_alone_is_told(check, data_set):
    status, _, report = check(data_set / "sub-3")
    assert status == 0
    assert "sub-3 is the only subject" in report["findings"][0]["problem"]


def test_a_column_of_parts_is_proposed(check, data_set):
    (data_set / "participants.tsv").write_text(
        "participant_id\tage\tpart\nsub-1\t3\ttrain\nsub-2\t4\ttrain\nsub-3\t5\tval\n"
    )
    assert "data.split_column=part" in check(data_set)[2]["overrides"]


@pytest.mark.parametrize("name", ["a b", "a=b,c", 'a"b', "a${b}", "[a]", "é#1"])
def test_a_proposed_folder_is_the_folder_whatever_its_name(check, data_set, compose_run, tmp_path, name):
    root = data_set.rename(tmp_path / name)
    overrides = check(root)[2]["overrides"]
    assert compose_run(tmp_path / "run", *overrides).data.root == str(root)


def test_how_the_scans_were_read_is_part_of_the_proposal(check, data_set):
    overrides = check(data_set, "--nonfinite", "zero", "--assume-orientation", "RAS", "--volume-index", 0)[2][
        "overrides"
    ]
    assert {"data.nonfinite=zero", "data.assume_orientation=RAS", "data.volume_index=0"} <= set(overrides)


@pytest.mark.parametrize("word", ["nowhere", ""])
def test_no_data_set_is_one_message_and_status_2(tmp_path, word):
    command = [sys.executable, "-m", "mri_cyclegan.verify", str(tmp_path / word)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert str(tmp_path) in result.stderr.replace("\n", "")


def test_a_name_with_markup_in_it_is_shown_as_it_is(check, data_set, tmp_path):
    (data_set / "sub-1" / "anat" / "sub-1_acq-[red]<b>&_T1w.nii").write_bytes(b"")
    status, _, _ = check(data_set)
    assert status == 2
    page = (tmp_path / "report" / "verify.html").read_text()
    assert "sub-1_acq-[red]&lt;b&gt;&amp;_T1w.nii" in page


@pytest.mark.realdata
def test_real_scans_on_two_grids_are_told(check, real_data):
    status, _, report = check(real_data / "open_ms" / "sub-04")
    assert status == 0
    (finding,) = [one for one in report["findings"] if "another grid" in one["problem"]]
    assert "256 × 256 × 48 voxels of 0.91 × 0.91 × 3 mm LPS and 348 × 384 × 44" in finding["problem"]
    assert report["num_pairs"] == 0


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "num_scans", "num_pairs", "size"),
    [("ixi64", 440, 40, 64), ("brainweb_png", 89, 0, 224), ("tcga", 2, 1, 192)],
)
def test_real_data_sets_are_described_as_they_are(check, real_data, name, num_scans, num_pairs, size):
    status, _, report = check(real_data / name)
    assert status == 0
    assert (report["num_scans"], report["num_pairs"], report["num_errors"]) == (num_scans, num_pairs, 0)
    assert report["proposal"]["plane"] == "axial"
    assert report["proposal"]["image_size"] == size
