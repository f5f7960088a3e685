"""``translate``: files and folders in, files and folders out."""

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import nibabel
import numpy as np
import pytest
import torch
from bad_inputs.dicom_series import PATIENT, write_series
from bad_inputs.heads import head
from bad_inputs.permissions import permissions_matter
from example_model.models import make_model
from PIL import Image

from mri_cyclegan import load_model, translate
from mri_cyclegan.evaluation.prediction_evaluation import PredictionOptions, evaluate_predictions
from mri_cyclegan.inference import flicker, writer
from mri_cyclegan.inference.scan_translator import ScanTranslator

SHAPE = (20, 24, 9)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, image_size=24)
    return folder


@pytest.fixture
def command(run_app):
    """Run the command line in this process."""
    return partial(run_app, translate.app)


def save(path, seed=0, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(head(seed, shape=SHAPE), np.diag([1, 1, 2, 1.0]) if affine is None else affine)
    image.header["descrip"] = b"Mustermann, Erika 1961-04-01"
    image.header["db_name"] = b"PATIENT-4711"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Mustermann, Erika"))
    nibabel.save(image, path)
    return path


@pytest.fixture
def bids(tmp_path):
    root = tmp_path / "bids"
    for seed, place in enumerate(("sub-01/anat/sub-01", "sub-02/ses-a/anat/sub-02_ses-a", "sub-03/anat/sub-03")):
        for contrast in ("T1w", "T2w"):
            save(root / f"{place}_{contrast}.nii.gz", seed)
    return root


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def voxels(path):
    return nibabel.load(path).get_fdata(dtype=np.float32)


# One scan


def test_a_file_becomes_a_file_with_a_sidecar(model, tmp_path, command):
    source = save(tmp_path / "sub-01_T1w.nii.gz")
    target = tmp_path / "new" / "synth T2 #1.nii.gz"
    status, output = command(model, source, target)
    assert status == 0, output
    assert f"1 translated (0:00:0{output.split('(0:00:0')[1][0]}): {target}" in output
    assert "not for diagnostic use" in output
    assert files(target.parent) == ["synth T2 #1.json", "synth T2 #1.nii.gz"]
    expected = load_model(model).translate(source)
    np.testing.assert_array_equal(voxels(target), expected.get_fdata(dtype=np.float32))
    saved = nibabel.load(target)
    np.testing.assert_array_equal(saved.affine, nibabel.load(source).affine)
    assert saved.header["descrip"].item() == b"SYNTHETIC T2w from T1w, not for diagnostic use"
    entries = json.loads((target.parent / "synth T2 #1.json").read_text())
    assert entries["Sources"] == ["sub-01_T1w.nii.gz"]


def test_nothing_of_a_patient_is_carried_over(model, tmp_path, command):
    source = save(tmp_path / "in" / "a_T1w.nii")
    assert b"Mustermann" in source.read_bytes()
    assert b"PATIENT-4711" in source.read_bytes()
    assert command(model, source, tmp_path / "out" / "b.nii")[0] == 0
    for path in (tmp_path / "out").iterdir():
        for secret in (b"Mustermann", b"4711", b"1961", os.fsencode(tmp_path)):
            assert secret not in path.read_bytes()


def test_ranges_and_types(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    unit = load_model(model).translate(source).get_fdata()
    reference = load_model(model).translate(source, value_range="reference").get_fdata()
    command(model, source, tmp_path / "r.nii.gz", "--range", "reference")
    np.testing.assert_allclose(voxels(tmp_path / "r.nii.gz"), reference, rtol=1e-6)
    assert 30 < reference[unit > 0].min() < reference.max() <= 1030
    command(model, source, tmp_path / "i.nii.gz", "--dtype", "int16")
    assert nibabel.load(tmp_path / "i.nii.gz").get_data_dtype() == np.int16
    np.testing.assert_allclose(voxels(tmp_path / "i.nii.gz"), unit, atol=1 / 65000)


def test_uncertainty_writes_a_second_file(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    assert command(model, source, tmp_path / "out", "--uncertainty")[0] == 0
    names = [f"a_desc-{label}_T2w.{suffix}" for label in ("synth", "synthspread") for suffix in ("json", "nii.gz")]
    assert files(tmp_path / "out") == names
    assert json.loads((tmp_path / "out" / names[2]).read_text())["Description"].startswith("Standard deviation of")
    std = nibabel.load(tmp_path / "out" / names[3])
    assert std.header["descrip"].item() == b"SYNTHETIC T2w from T1w, SD of the output"
    assert 0 < std.get_fdata().max() < 1
    np.testing.assert_array_equal(std.affine, nibabel.load(source).affine)


def test_several_models_and_planes(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    make_model(tmp_path / "sagittal", image_size=24, plane="sagittal", seed=3)
    single = [load_model(folder).translate(source).get_fdata() for folder in (model, tmp_path / "sagittal")]
    both = [model, source, "--also", tmp_path / "sagittal"]
    assert command(*both, tmp_path / "both")[0] == 0
    np.testing.assert_allclose(
        voxels(tmp_path / "both" / "a_desc-synth_T2w.nii.gz"), np.mean(single, axis=0), atol=1e-6
    )
    std = voxels(tmp_path / "both" / "a_desc-synthspread_T2w.nii.gz")
    np.testing.assert_allclose(std, np.std(single, axis=0, ddof=1), atol=1e-6)
    assert command(*both, tmp_path / "one.nii.gz", "--planes", "sagittal")[0] == 0
    np.testing.assert_allclose(voxels(tmp_path / "one.nii.gz"), single[1], atol=1e-6)
    status, output = command(*both, tmp_path / "none.nii.gz", "--planes", "axial,coronal")
    assert status == 2
    assert "no model was trained on coronal slices" in output
    assert "data.plane=coronal" in output


def test_a_picture_becomes_a_picture_or_a_volume(model, tmp_path, command):
    gray = (head(1, shape=(24, 20, 3))[:, :, 1].astype(np.int64) * 50).clip(0, 65535).astype(np.uint16)
    Image.fromarray(gray).save(tmp_path / "slice_T1w.png")
    assert command(model, tmp_path / "slice_T1w.png", tmp_path / "out")[0] == 0
    target = tmp_path / "out" / "slice_desc-synth_T2w.png"
    expected = load_model(model).translate(tmp_path / "slice_T1w.png").get_fdata()[0]
    with Image.open(target) as picture:
        assert picture.mode == "I;16"
        assert picture.text["Description"] == "SYNTHETIC T2w from T1w, not for diagnostic use"
        np.testing.assert_allclose(np.asarray(picture) / 65535, expected, atol=1 / 65000)
        assert np.asarray(picture).shape == gray.shape
    assert command(model, tmp_path / "slice_T1w.png", tmp_path / "s.nii.gz")[0] == 0
    np.testing.assert_allclose(voxels(tmp_path / "s.nii.gz")[0], expected, atol=1e-6)
    status, output = command(model, tmp_path / "slice_T1w.png", tmp_path / "r", "--range", "reference")
    assert status == 2
    assert "--range reference: pictures hold 0 to 1" in output


def test_a_dicom_series_becomes_a_volume_without_its_patient(model, tmp_path, command):
    affine = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.1, 0.2, 0.1) * (1, 1, 2), (-9, 4, 7))
    write_series(tmp_path / "scans" / "T1w" / "visit", head(0, shape=SHAPE), affine, shuffle=True)
    write_series(tmp_path / "scans" / "T2w" / "visit", head(1, shape=SHAPE), affine)
    assert command(model, tmp_path / "scans" / "T1w" / "visit", tmp_path / "one.nii.gz")[0] == 0
    saved = nibabel.load(tmp_path / "one.nii.gz")
    assert saved.shape == SHAPE
    np.testing.assert_allclose(saved.affine, affine, atol=1e-5)
    assert not any(word.encode() in (tmp_path / "one.json").read_bytes() for word in PATIENT)
    status, _ = command(model, tmp_path / "scans", tmp_path / "all")
    assert status == 0
    assert [name for name in files(tmp_path / "all") if "nii" in name] == [
        "T1w/visit_desc-synth_T1w.nii.gz",
        "T2w/visit_desc-synth_T2w.nii.gz",
    ]
    np.testing.assert_array_equal(
        voxels(tmp_path / "all/T2w/visit_desc-synth_T2w.nii.gz"), voxels(tmp_path / "one.nii.gz")
    )


# Data sets


def test_a_bids_data_set_becomes_a_derivative_that_can_be_evaluated(model, bids, tmp_path, command):
    out = tmp_path / "out"
    status, output = command(model, bids, out, "--direction", "ab")
    assert status == 0, output
    assert "3 translated, 3 of the other contrast left out" in output
    assert files(out) == [
        "dataset_description.json",
        *(
            f"{place}_desc-synth_T2w{suffix}"
            for place in ("sub-01/anat/sub-01", "sub-02/ses-a/anat/sub-02_ses-a", "sub-03/anat/sub-03")
            for suffix in (".json", ".nii.gz")
        ),
    ]
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "mri-cyclegan"
    raw = (out / description["DatasetLinks"]["raw"]).resolve()
    assert raw == bids
    entries = json.loads((out / "sub-02/ses-a/anat/sub-02_ses-a_desc-synth_T2w.json").read_text())
    (source,) = entries["Sources"]
    assert (raw / source.removeprefix("bids:raw:")).is_file()
    content = evaluate_predictions(out, bids, None, tmp_path / "evaluation", PredictionOptions()).content
    assert [one["subject"] for one in content["subjects"]] == ["sub-01", "sub-02", "sub-03"]


def psnr_of(content):
    return [one["ways"]["ab"]["metrics"]["prediction"]["foreground"]["psnr"] for one in content["subjects"]]


def test_what_was_written_is_evaluated_in_its_own_range(model, tmp_path, command):
    """Pictures hold 0 to 1 as 0 to 65535, and NIfTI files may hold the intensities of the training scans."""
    for contrast, seed in (("T1w", 1), ("T2w", 2)):
        (tmp_path / contrast).mkdir()
        gray = (head(seed, shape=(24, 20, 3))[:, :, 1] * 50).clip(0, 65535).astype(np.uint16)
        Image.fromarray(gray).save(tmp_path / contrast / "IXI001_042.png")
        nibabel.save(nibabel.Nifti1Image(gray.T[..., None], np.eye(4)), tmp_path / contrast / "a.nii.gz")
    (tmp_path / "volumes").mkdir()
    for value_range in ("unit", "reference"):
        target = tmp_path / "volumes" / value_range / "a.nii.gz"
        assert command(model, tmp_path / "T1w" / "a.nii.gz", target, "--range", value_range)[0] == 0
    for folder in ("T1w", "T2w"):
        (tmp_path / f"{folder}-volumes").mkdir()
        (tmp_path / folder / "a.nii.gz").rename(tmp_path / f"{folder}-volumes" / "a.nii.gz")
    assert command(model, tmp_path / "T1w", tmp_path / "pictures", "--uncertainty")[0] == 0

    def evaluated(prediction, truth, **options):
        output = tmp_path / "-".join([prediction.name, *options])
        return evaluate_predictions(prediction, truth, None, output, PredictionOptions(**options)).content

    unit, reference = (
        evaluated(tmp_path / "volumes" / name, tmp_path / "T2w-volumes") for name in ("unit", "reference")
    )
    assert psnr_of(reference) == pytest.approx(psnr_of(unit), abs=1e-3)
    pictures = evaluated(tmp_path / "pictures", tmp_path / "T2w")
    # One picture alone: nothing tells that 042 is the number of a slice.
    assert [one["subject"] for one in pictures["subjects"]] == ["IXI001_042"]
    assert pictures["provenance"]["prediction range"] == ["0 to 65535"]
    assert psnr_of(pictures) == psnr_of(evaluated(tmp_path / "pictures", tmp_path / "T2w", low=0.0, high=65535.0))
    (tmp_path / "pictures" / "IXI001_042_desc-synth_T2w.json").unlink()
    with pytest.raises(ValueError, match=r"lie beyond the range 0 to 1 .*--prediction-range LOW,HIGH \(0,255"):
        evaluated(tmp_path / "pictures", tmp_path / "T2w")


def test_a_data_set_is_not_written_into_another(model, bids, tmp_path, command):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset_description.json").write_text('{"Name": "raw scans"}')
    status, output = command(model, bids, tmp_path / "other")
    assert status == 2
    assert "holds another data set" in output
    assert files(tmp_path / "other") == ["dataset_description.json"]


def test_parts_together_are_the_whole(model, bids, tmp_path, command):
    written = []
    for part in range(4):
        assert command(model, bids, tmp_path / str(part), "--num-parts", 4, "--part", part)[0] == 0
        written += [name for name in files(tmp_path / str(part)) if name.endswith(".nii.gz")]
    command(model, bids, tmp_path / "all")
    assert sorted(written) == [name for name in files(tmp_path / "all") if name.endswith(".nii.gz")]
    assert len(written) == 6
    status, output = command(model, bids, tmp_path / "out", "--num-parts", 2, "--part", 2)
    assert status == 2
    assert "--part: expected 0 to 1 of --num-parts 2, got 2" in output


def test_a_failure_leaves_the_others_and_is_listed(model, bids, tmp_path, command):
    broken = bids / "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    volumes = nibabel.Nifti1Image(np.ones((4, 4, 4, 2), np.float32), np.eye(4))
    nibabel.save(volumes, bids / "sub-03/anat/sub-03_T1w.nii.gz")
    status, output = command(model, bids, tmp_path / "out", "--direction", "ab")
    assert status == 1
    assert "1 translated, 3 of the other contrast left out, 2 failed" in output
    assert f"Failed: {broken}: " in output
    assert "Set --volume-index to choose one" in output
    assert [name for name in files(tmp_path / "out") if "nii" in name] == ["sub-01/anat/sub-01_desc-synth_T2w.nii.gz"]
    assert command(model, bids, tmp_path / "out", "--direction", "ab", "--skip-existing", "--volume-index", 0)[0] == 1


def test_a_full_disk_fails_by_name_and_leaves_nothing_half(model, bids, tmp_path, command, monkeypatch):
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 9))
    status, output = command(model, bids, tmp_path / "out")
    assert status == 1
    assert (
        "sub-01_desc-synth_T2w.nii.gz: cannot be written (0 MB are needed, and 17 MB are left to others, but 0"
        in output
    )
    assert files(tmp_path / "out") == ["dataset_description.json"]


def test_a_closed_folder_fails_by_name(model, bids, tmp_path, command):
    closed = tmp_path / "out" / "sub-01"
    closed.mkdir(parents=True)
    closed.chmod(0o500)
    with permissions_matter():
        status, output = command(model, bids, tmp_path / "out", "--direction", "ab")
    closed.chmod(0o700)
    assert status == 1
    assert "sub-01_desc-synth_T2w.nii.gz: cannot be written (Permission denied)" in output
    assert "2 translated" in output


def test_scans_unlike_those_trained_on_are_told(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    status, output = command(model, source, tmp_path / "b.nii.gz")
    assert status == 0
    assert f"{source}: unlike the scans trained on: " in output
    assert json.loads((tmp_path / "b.json").read_text())["UnlikeTraining"]


# What is there already


def test_nothing_is_overwritten_unasked(model, bids, tmp_path, command):
    out = tmp_path / "out"
    command(model, bids, out, "--direction", "ab")
    kept = {name: (out / name).stat().st_mtime_ns for name in files(out) if "sub-" in name}
    (out / "sub-01/anat/sub-01_desc-synth_T2w.nii.gz").unlink()
    status, output = command(model, bids, out, "--direction", "ab")
    assert status == 2
    assert "2 of the files to write exist" in output
    assert "--skip-existing" in output
    status, output = command(model, bids, out, "--direction", "ab", "--skip-existing")
    assert status == 0
    assert "1 translated, 2 there already" in output
    unchanged = {name for name in kept if (out / name).stat().st_mtime_ns == kept[name]}
    assert {name for name in kept if "sub-01" not in name} <= unchanged
    assert command(model, bids, out, "--direction", "ab", "--overwrite")[0] == 0
    assert all((out / name).stat().st_mtime_ns > kept[name] for name in kept)
    status, output = command(model, bids, out, "--overwrite", "--skip-existing")
    assert status == 2
    assert "exclude each other" in output


def test_the_sidecar_of_somebody_else_stays(model, tmp_path, command):
    """As in a raw data set whose T2w image was deleted, but not its description."""
    source = save(tmp_path / "a_T1w.nii.gz")
    (tmp_path / "a_T2w.json").write_text('{"EchoTime": 0.1}')
    status, output = command(model, source, tmp_path / "a_T2w.nii.gz")
    assert status == 2
    assert f"- {tmp_path / 'a_T2w.json'}" in output
    assert (tmp_path / "a_T2w.json").read_text() == '{"EchoTime": 0.1}'
    assert not (tmp_path / "a_T2w.nii.gz").exists()


KILLED = """
import os, signal, sys
import nibabel
from mri_cyclegan import translate
save, written = nibabel.save, []
def save_until_killed(image, path):
    save(image, path)
    written.append(path)
    if len(written) == 3:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
nibabel.save = save_until_killed
sys.argv = ["translate", *sys.argv[1:]]
translate.main()
"""


def test_killed_half_way_it_leaves_whole_files_and_goes_on(model, bids, tmp_path, command):
    out = tmp_path / "out"
    words = [sys.executable, "-c", KILLED, str(model), str(bids), str(out)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == -signal.SIGKILL, result.stderr
    whole = [name for name in files(out) if name.endswith(".nii.gz") and ".partial-" not in name]
    assert len(whole) == 2
    assert any(".partial-" in name for name in files(out))
    before = {name: (out / name).read_bytes() for name in whole}
    status, output = command(model, bids, out, "--skip-existing")
    assert status == 0, output
    assert "4 translated, 2 there already" in output
    assert {name: (out / name).read_bytes() for name in whole} == before
    assert command(model, bids, tmp_path / "at once")[0] == 0
    assert files(out) == files(tmp_path / "at once")
    for name in files(out):
        if name.endswith(".nii.gz"):
            np.testing.assert_array_equal(voxels(out / name), voxels(tmp_path / "at once" / name))


def test_a_share_stays_the_same_when_others_are_done(model, bids, tmp_path, command):
    out = tmp_path / "out"
    command(model, bids, out, "--num-parts", 2, "--part", 0)
    status, output = command(model, bids, out, "--num-parts", 2, "--part", 1, "--skip-existing")
    assert status == 0
    assert "3 translated (" in output
    assert len([name for name in files(out) if name.endswith(".nii.gz")]) == 6


@pytest.mark.parametrize("words", [["--uncertainty"], ["--range", "reference"], ["--also", "ANOTHER"], ["ANOTHER"]])
def test_what_was_made_otherwise_is_not_skipped(model, tmp_path, command, words):
    make_model(tmp_path / "another", image_size=24, seed=5)
    source = save(tmp_path / "a_T1w.nii.gz")
    command(model, source, tmp_path / "out")
    words = [tmp_path / "another" if word == "ANOTHER" else word for word in words]
    chosen, options = (words[0], []) if len(words) == 1 and words != ["--uncertainty"] else (model, words)
    status, output = command(chosen, source, tmp_path / "out", "--skip-existing", *options)
    assert status == 2
    assert "1 of the files there were made by another model or with other settings" in output
    assert "a_desc-synth_T2w.nii.gz" in output
    assert command(chosen, source, tmp_path / "out", "--overwrite", *options)[0] == 0
    assert command(chosen, source, tmp_path / "out", "--skip-existing", *options)[0] == 0


def test_without_spread_an_old_one_does_not_stay_beside_a_new_image(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    command(model, source, tmp_path / "out", "--uncertainty")
    command(model, source, tmp_path / "out", "--overwrite")
    assert files(tmp_path / "out") == ["a_desc-synth_T2w.json", "a_desc-synth_T2w.nii.gz"]


def test_only_what_was_left_of_these_files_is_removed(model, tmp_path, command):
    source = save(tmp_path / "a_T1w.nii.gz")
    out = tmp_path / "out"
    (out / ".partial-thesis").mkdir(parents=True)
    for name in (".partial-thesis/chapter1", ".partial-7-other.nii.gz", ".partial-7-a_desc-synth_T2w.nii.gz"):
        (out / name).touch()
    assert command(model, source, out)[0] == 0
    assert files(out) == [
        ".partial-7-other.nii.gz",
        ".partial-thesis/chapter1",
        "a_desc-synth_T2w.json",
        "a_desc-synth_T2w.nii.gz",
    ]


def test_interrupted_it_says_what_is_done_and_how_to_go_on(model, bids, tmp_path, command, monkeypatch):
    translated = ScanTranslator.__call__
    seen = []

    def interrupted(self, path, *rest):
        seen.append(path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return translated(self, path, *rest)

    monkeypatch.setattr(ScanTranslator, "__call__", interrupted)
    status, output = command(model, bids, tmp_path / "out")
    assert status == 130
    assert "2 translated" in output
    assert "Resume with the same command and --skip-existing" in output


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), KeyError("bug")])
def test_an_error_nobody_thought_of_leaves_the_others(model, bids, tmp_path, command, monkeypatch, error):
    translated = ScanTranslator.__call__

    def failing(self, path, *rest):
        if "sub-02" in str(path):
            raise error
        return translated(self, path, *rest)

    monkeypatch.setattr(ScanTranslator, "__call__", failing)
    status, output = command(model, bids, tmp_path / "out", "--direction", "ab")
    assert status == 1
    assert "2 translated" in output
    assert f"sub-02_ses-a_T1w.nii.gz: cannot be translated ({type(error).__name__}: " in output
    assert ("--device cpu" in output) == isinstance(error, torch.OutOfMemoryError)


def test_a_closed_folder_of_scans_is_listed_as_failed(model, tmp_path, command):
    save(tmp_path / "in" / "a_T1w.nii.gz")
    closed = tmp_path / "in" / "closed"
    closed.mkdir()
    closed.chmod(0)
    with permissions_matter():
        status, output = command(model, tmp_path / "in", tmp_path / "out")
    closed.chmod(0o700)
    assert status == 1
    assert f"Failed: {closed}: the folder cannot be listed" in output
    assert "1 translated, 1 failed" in output


def test_a_link_in_a_circle_is_no_failure(model, tmp_path, command):
    save(tmp_path / "in" / "a_T1w.nii.gz")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    status, output = command(model, tmp_path / "in", tmp_path / "out")
    assert status == 0
    assert "loop: a link that leads back" in output


def test_doubts_are_told_and_kept(model, tmp_path, command):
    gray = (head(1, shape=(24, 20, 3))[:, :, 1] // 4).clip(0, 255).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "slice_T2w.jpg")
    assert command(model, tmp_path / "slice_T2w.jpg", tmp_path / "s.png", "--direction", "ab")[0] == 0
    _, output = command(model, tmp_path / "slice_T2w.jpg", tmp_path / "s.png", "--direction", "ab", "--overwrite")
    warnings = ["its name says T2w, but T1w is asked for", "JPEG is lossy"]
    assert json.loads((tmp_path / "s.json").read_text())["Doubts"] == warnings
    for warning in warnings:
        assert f"slice_T2w.jpg: {warning}." in output


def test_visible_flicker_is_told(model, tmp_path, command, monkeypatch):
    monkeypatch.setattr(flicker, "MIN_VISIBLE_JUMP", -1.0)
    monkeypatch.setattr(flicker, "MIN_RATIO_TO_SOURCE", -1.0)
    status, output = command(model, save(tmp_path / "a_T1w.nii.gz"), tmp_path / "out")
    assert status == 0
    assert "brightness jumps by 0." in output


def test_options_of_bids_and_of_spreads(model, bids, tmp_path, command):
    sidecar = bids / "sub-01/anat/sub-01_T1w.json"
    sidecar.write_text('{"SkullStripped": true}')
    words = ["--direction", "ab", "--range", "reference", "--dtype", "int16", "--uncertainty"]
    assert command(model, bids, tmp_path / "out", *words)[0] == 0
    for label in ("synth", "synthspread"):
        saved = nibabel.load(tmp_path / "out" / f"sub-01/anat/sub-01_desc-{label}_T2w.nii.gz")
        assert saved.get_data_dtype() == np.int16
        assert saved.get_fdata().max() > 1.5
    entries = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").glob("sub-*/**/*synth_T2w.json"))]
    assert [one["SkullStripped"] for one in entries] == [True, False, False]
    assert all(one["SpatialReference"].startswith("bids:raw:sub-0") for one in entries)


def test_several_series_in_one_folder_are_told_apart(model, tmp_path, command):
    for uid, seed in (("1.2.3", 0), ("1.2.4", 1)):
        write_series(tmp_path / "T1w", head(seed, shape=SHAPE), np.eye(4), uid=uid, name=f"{uid}-{{}}.dcm".format)
    status, output = command(model, tmp_path / "T1w", tmp_path / "out.nii.gz")
    assert status == 1
    assert "Name one in --series-uid" in output
    assert command(model, tmp_path / "T1w", tmp_path / "out.nii.gz", "--series-uid", "1.2.4")[0] == 0


def test_names_that_are_not_utf8_and_pipes(model, tmp_path, command):
    folder = tmp_path / "in"
    save(folder / "a_T1w.nii.gz")
    odd = os.fsencode(folder) + b"/caf\xe9_T1w.nii.gz"
    shutil.copy(folder / "a_T1w.nii.gz", odd)
    os.mkfifo(folder / "z_T1w.nii.gz")
    status, output = command(model, folder, tmp_path / "out")
    assert status == 1
    assert "2 translated, 1 failed" in output
    assert "z_T1w.nii.gz: no plain file" in output
    sources = [json.loads(path.read_text())["Sources"][0] for path in (tmp_path / "out").glob("*.json")]
    assert sorted(map(os.fsencode, sources)) == [b"a_T1w.nii.gz", b"caf\xe9_T1w.nii.gz"]


# Refusals before the first scan


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "a_T1w.nii.gz", "out"], "nowhere: no readable model.json"),
        (["MODEL", "nowhere_T1w.nii.gz", "out"], "nowhere_T1w.nii.gz does not exist"),
        (["MODEL", "a_T1w.nii.gz", "out.mgz"], "out.mgz: cannot be written. Expected a folder, or a name in .nii"),
        (["~nosuchuser/model", "a_T1w.nii.gz", "out"], "Could not determine home directory"),
        (["MODEL", "a_T1w.nii.gz", "out", "--planes", "axial, sagittal"], "trained on sagittal slices"),
        (["MODEL", "a_T1w.nii.gz", "out", "--device", "moon"], "--device: moon cannot be used"),
        (["MODEL", "a_T1w.nii.gz", "out", "--nonfinite", "three"], "--nonfinite: expected raise or zero"),
        (["MODEL", "a_T1w.nii.gz", "out", "--assume-orientation", "XYZ"], "--assume-orientation: expected axis codes"),
        (["MODEL", "a_T1w.nii.gz", "a_T1w.nii.gz", "--overwrite"], "a_T1w.nii.gz: one of the scans themselves"),
    ],
)
def test_refusals(model, tmp_path, command, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    before = save(tmp_path / "a_T1w.nii.gz").read_bytes()
    status, output = command(*(model if word == "MODEL" else word for word in words))
    assert status == 2
    assert message in output
    assert files(tmp_path) == ["a_T1w.nii.gz"]
    assert (tmp_path / "a_T1w.nii.gz").read_bytes() == before


def test_the_command_as_a_user_types_it(model, tmp_path):
    source = save(tmp_path / "my scan" / "a_T1w.nii.gz")
    words = [sys.executable, "-m", "mri_cyclegan.translate", model, source, tmp_path / "out"]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "1/1 a_T1w.nii.gz" in result.stderr
    assert (tmp_path / "out" / "a_desc-synth_T2w.nii.gz").is_file()
    words = [sys.executable, "-m", "mri_cyclegan", "translate", model, tmp_path / "nothing_T1w.nii", tmp_path / "out"]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert result.returncode == 2
    assert "nothing_T1w.nii does not exist" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.realdata
@pytest.mark.parametrize("place", ["open_ms/sub-07", "open_ms/sub-04", "tcga/sub-FG6692"])
def test_real_scans_keep_their_grid(real_data, tmp_path, command, place):
    make_model(tmp_path / "model", image_size=128, spacing_mm=2.0)
    status, output = command(tmp_path / "model", real_data / place, tmp_path / "out")
    assert status == 0, output
    sources = sorted((real_data / place).glob("anat/*.nii.gz"))
    outputs = sorted((tmp_path / "out").rglob("*.nii.gz"))
    assert len(outputs) == len(sources) == 2
    for source, output in zip(sources, reversed(outputs), strict=True):
        scan, synthetic = nibabel.load(source), nibabel.load(output)
        assert synthetic.shape == scan.shape
        np.testing.assert_allclose(synthetic.affine, scan.affine, atol=1e-6)
        assert 0 <= synthetic.get_fdata().min() < synthetic.get_fdata().max() <= 1


@pytest.mark.realdata
def test_real_pictures_keep_their_size(real_data, model, tmp_path, command):
    folder = next(path for path in sorted((real_data / "brainweb_png").iterdir()) if path.is_dir())
    source = sorted(folder.glob("*.png"))[20]
    status, output = command(model, source, tmp_path / "out.png", "--direction", "ab")
    assert status == 0, output
    with Image.open(source) as picture, Image.open(tmp_path / "out.png") as synthetic:
        assert synthetic.size == picture.size
