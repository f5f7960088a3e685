"""``python -m mri_cyclegan.evaluate`` on a finished toy run."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel import orientations
from scipy import ndimage

from mri_cyclegan import evaluate
from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.evaluation.run_metrics import RunMetrics
from mri_cyclegan.inference.model import load_model, save_model

METHODS = ["CycleGAN", "copy", "mean image", "histogram matching", "oracle look-up table"]


@pytest.fixture
def command(run_app):
    """Run the command line in this process."""
    return partial(run_app, evaluate.app)


@pytest.fixture
def data_root(toy_run, tmp_path):
    """A copy of the toy run's data set, to change."""
    run_dir, _, _ = toy_run
    original = Path(json.loads((run_dir / "split.json").read_text())["root"])
    return Path(shutil.copytree(original, tmp_path / "data"))


@pytest.fixture
def moved_run(toy_run, data_root, tmp_path):
    """The toy run as if it had been trained on the copy of its data set."""
    folder = shutil.copytree(toy_run[0], tmp_path / "moved", ignore=shutil.ignore_patterns("evaluation"))
    split = json.loads((folder / "split.json").read_text())
    (folder / "split.json").write_text(json.dumps(split | {"root": str(data_root)}))
    return folder


def read(folder):
    return json.loads((folder / "metrics.json").read_text())


def scan(root, subject, contrast):
    return root / subject / "anat" / f"{subject}_{contrast}.nii.gz"


def subjects_of_test(toy_run):
    run_dir, _, _ = toy_run
    return json.loads((run_dir / "split.json").read_text())["subjects"]["test"]


def without_time(content):
    """Content that the same evaluation gives each time."""
    kept = {key: value for key, value in content.items() if key not in ("created", "provenance")}
    for subject in kept["subjects"]:
        for of_direction in subject["ways"].values():
            of_direction.pop("seconds", None)
    return kept


# A run


@pytest.mark.parametrize("device", ["foo", "meta"])
def test_a_device_that_cannot_be_used_is_refused(toy_run, tmp_path, command, device):
    status, output = command(toy_run[0], "--device", device, "--output", tmp_path / "out")
    assert status == 2
    assert f"--device: {device} cannot be used" in output


def test_training_ends_with_an_evaluation(toy_run):
    run_dir, _, summary = toy_run
    content = read(run_dir / "evaluation")
    assert content["protocol_version"] == summary["protocol_version"] == PROTOCOL_VERSION
    assert content["methods"] == METHODS
    assert [subject["subject"] for subject in content["subjects"]] == subjects_of_test(toy_run)
    for subject in content["subjects"]:
        for direction in ("ab", "ba"):
            for method in METHODS:
                regions = subject["ways"][direction]["metrics"][method]
                assert list(regions) == (["foreground"] if method.startswith("oracle") else ["foreground", "whole"])
                for values in regions.values():
                    assert list(values) == list(METRICS)
                    assert all(np.isfinite(value) for value in values.values())
    assert {audit["name"] for audit in content["audits"]} == {
        "Copying",
        "Hidden code",
        "Slice consistency",
        "Contrast",
        "Lesions",
        "Invented regions",
        "Registration",
        "Pairing",
    }
    assert content["provenance"]["model_sha256"] == load_model(run_dir).hashes


def test_means_and_intervals_are_those_of_the_subjects(toy_run):
    content = read(toy_run[0] / "evaluation")
    for direction in ("ab", "ba"):
        for metric in METRICS:
            values = [s["ways"][direction]["metrics"]["CycleGAN"]["foreground"][metric] for s in content["subjects"]]
            found = content["summary"][direction]["CycleGAN"]["foreground"][metric]
            assert found["mean"] == pytest.approx(np.mean(values))
            assert min(values) <= found["low"] <= found["mean"] <= found["high"] <= max(values)


def test_the_table_has_a_row_for_each_subject_direction_method_and_region(toy_run):
    run_dir, _, _ = toy_run
    content = read(run_dir / "evaluation")
    with (run_dir / "evaluation" / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2 * 2 * (2 * len(METHODS) - 1)  # the oracle knows no background
    first = next(row for row in rows if row["method"] == "copy" and row["region"] == "whole" and row["source"] == "T2w")
    expected = content["subjects"][0]["ways"]["ba"]["metrics"]["copy"]["whole"]
    assert {name: float(first[name]) for name in METRICS} == pytest.approx(expected)


def test_the_report_needs_nothing_else(toy_run):
    page = (toy_run[0] / "evaluation" / "report.html").read_text()
    assert "not for diagnostic use" in page
    for subject in subjects_of_test(toy_run):
        assert subject in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert len(page) < 10e6


def test_the_mean_image_is_that_of_the_training_targets(toy_run):
    """Its MAE in one subject, from the files."""
    run_dir, _, _ = toy_run
    split = json.loads((run_dir / "split.json").read_text())
    mean = np.mean([scale_intensities(read_volume(path)).array for path in split["files"]["train_b"]], axis=0)
    subject = split["subjects"]["test"][0]
    target = scale_intensities(read_volume(scan(Path(split["root"]), subject, "T2w")))
    expected = np.abs(mean - target.array)[target.foreground].mean()
    metrics = read(run_dir / "evaluation")["subjects"][0]["ways"]["ab"]["metrics"]
    assert metrics["mean image"]["foreground"]["mae"] == pytest.approx(expected, abs=1e-5)


def scaled(run_dir, subject, contrast):
    root = Path(json.loads((run_dir / "split.json").read_text())["root"])
    return scale_intensities(read_volume(scan(root, subject, contrast)))


def test_the_oracle_was_fitted_on_validation_pairs_alone(toy_run):
    """Its MAE in one test subject, from the files: mean target intensity at each of 256 source intensities."""
    run_dir, _, _ = toy_run
    subjects = json.loads((run_dir / "split.json").read_text())["subjects"]
    pairs = [[scaled(run_dir, name, contrast) for contrast in ("T1w", "T2w")] for name in subjects["val"]]
    sources = np.concatenate([a.array[b.foreground] for a, b in pairs])
    targets = np.concatenate([b.array[b.foreground] for a, b in pairs])
    bins = np.minimum(sources * 256, 255).astype(int)
    known = np.unique(bins)
    means = [targets[bins == one].mean() for one in known]
    a, b = (scaled(run_dir, subjects["test"][0], contrast) for contrast in ("T1w", "T2w"))
    prediction = np.interp(a.array, (known + 0.5) / 256, means)
    expected = np.abs(prediction - b.array)[b.foreground].mean()
    metrics = read(run_dir / "evaluation")["subjects"][0]["ways"]["ab"]["metrics"]
    assert metrics["oracle look-up table"]["foreground"]["mae"] == pytest.approx(expected, abs=1e-4)


def test_histograms_are_matched_to_those_of_the_target_contrast(toy_run):
    """The matched foreground has the quartiles of the training targets, whatever the subject's own are."""
    run_dir, _, _ = toy_run
    split = json.loads((run_dir / "split.json").read_text())
    training = np.concatenate(
        [(one := scaled(run_dir, name, "T2w")).array[one.foreground] for name in split["subjects"]["train_b"]]
    )
    a, b = (scaled(run_dir, split["subjects"]["test"][0], contrast) for contrast in ("T1w", "T2w"))
    ranks = np.interp(a.array, np.sort(a.array[a.foreground]), np.linspace(0, 1, a.foreground.sum()))
    matched = np.quantile(training, ranks.ravel()).reshape(ranks.shape)
    expected = np.abs(matched - b.array)[b.foreground].mean()
    metrics = read(run_dir / "evaluation")["subjects"][0]["ways"]["ab"]["metrics"]
    assert metrics["histogram matching"]["foreground"]["mae"] == pytest.approx(expected, abs=0.004)


def test_both_regions_are_the_targets(toy_run):
    run_dir, _, _ = toy_run
    subject = subjects_of_test(toy_run)[0]
    volumes = {"a": scaled(run_dir, subject, "T1w"), "b": scaled(run_dir, subject, "T2w")}
    measured = read(run_dir / "evaluation")["subjects"][0]["ways"]
    for direction in ("ab", "ba"):
        source, target = volumes[direction[0]], volumes[direction[1]]
        error = np.abs(source.array - target.array)
        expected = {"foreground": error[target.foreground].mean(), "whole": error.mean()}
        for region, mae in expected.items():
            assert measured[direction]["metrics"]["copy"][region]["mae"] == pytest.approx(mae, abs=1e-6)


def test_validation_subjects_on_request(toy_run, tmp_path, command):
    run_dir, _, _ = toy_run
    status, output = command(run_dir, "--split", "val", "--output", tmp_path / "out")
    assert status == 0, output
    expected = json.loads((run_dir / "split.json").read_text())["subjects"]["val"]
    assert [subject["subject"] for subject in read(tmp_path / "out")["subjects"]] == expected


def test_a_data_set_elsewhere_and_its_training_subjects_are_told(toy_run, data_root, tmp_path, command):
    status, output = command(toy_run[0], "--data-root", data_root, "--split", "all", "--output", tmp_path / "out")
    assert status == 0, output
    content = read(tmp_path / "out")
    assert len(content["subjects"]) == 8
    assert [len(subject["ways"]) for subject in content["subjects"]].count(1) == 4  # one contrast each
    (pairing,) = (audit for audit in content["audits"] if audit["name"] == "Pairing")
    assert pairing["level"] == "red"


def test_a_data_set_of_another_layout_needs_its_arguments_which_are_told(toy_run, data_root, tmp_path, command):
    root = tmp_path / "other"
    for name in subjects_of_test(toy_run):
        for contrast, folder in (("T1w", "IXI-T1"), ("T2w", "IXI-T2")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(scan(data_root, name, contrast), root / folder / f"{name}-{contrast[:2]}.nii.gz")
    status, output = command(toy_run[0], "--data-root", root, "--output", tmp_path / "out")
    assert status == 2
    assert "--layout folder --contrasts IXI-T1,IXI-T2: give these arguments" in " ".join(output.split())
    patterns = ["--pattern-a", "IXI-T1/*", "--pattern-b"]
    status, output = command(toy_run[0], *patterns, "IXI-T2/*", "--output", tmp_path / "out")
    assert status == 2 and "--pattern-a goes with --data-root, which is missing" in output
    status, output = command(toy_run[0], "--data-root", root, *patterns[:2], "--output", tmp_path / "out")
    assert status == 2 and "--pattern-b is missing" in output
    for arguments in (["--contrasts", "IXI-T1,IXI-T2", "--layout", "folder"], [*patterns, "IXI-T2/*"]):
        out = tmp_path / arguments[0]
        status, output = command(toy_run[0], "--data-root", root, *arguments, "--output", out)
        assert status == 0, output
        content = read(out)
        assert [subject["subject"] for subject in content["subjects"]] == sorted(subjects_of_test(toy_run))
        assert all(len(subject["ways"]) == 2 for subject in content["subjects"])


def test_data_that_is_not_there_is_told_with_the_way_out(toy_run, tmp_path, command):
    (tmp_path / "empty").mkdir()
    status, output = command(toy_run[0], "--data-root", tmp_path / "empty", "--output", tmp_path / "out")
    assert status == 2
    assert "--data-root" in output
    status, output = command(tmp_path / "empty")
    assert status == 2
    assert "Give the folder of a finished run" in output


def test_other_people_are_evaluated_on_request(toy_run, data_root, tmp_path, command):
    names = json.loads((toy_run[0] / "split.json").read_text())["subjects"]
    for name in (*names["test"], *names["val"]):
        shutil.rmtree(data_root / name)
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 2
    assert "--data-root" in output
    assert "--split all" in output


def test_another_data_set_did_not_train_the_run(toy_run, data_root, tmp_path, command):
    """Its subjects may be called as those of the training: they are no mean training image."""
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["methods"][2] == "mean intensity"
    assert content["provenance"]["look-up table fitted on"] == "the evaluated pairs themselves"
    assert "not the folder trained on" in output


def test_subjects_that_are_not_there_are_named(moved_run, data_root, command):
    gone = subjects_of_test((moved_run, None, None))[1]
    shutil.rmtree(data_root / gone)
    status, output = command(moved_run)
    assert status == 0, output
    assert f"Not there: 1 of the subjects in the run's split: {gone}." in output


def test_a_folder_of_a_run_or_model_is_no_place_for_results(toy_run, command):
    run_dir, _, _ = toy_run
    before = (run_dir / "metrics.csv").read_bytes()
    for folder in (run_dir, run_dir / "model"):
        status, output = command(run_dir, "--output", folder)
        assert status == 2
        assert "which results would mix with" in output
    assert (run_dir / "metrics.csv").read_bytes() == before


def test_only_the_plain_evaluation_of_a_run_has_the_plain_name():
    run, other = Path("run"), Path("other")
    assert evaluate.default_output([run], Options()) == run / "evaluation"
    names = {
        evaluate.default_output(folders, options).name
        for folders, options in (
            ([run], Options()),
            ([run], Options(part="val")),
            ([run], Options(data_root=Path("/scans"))),
            ([run], Options(test_time_augmentation=True)),
            ([run], Options(pairs="register")),
            ([run, other], Options()),
            ([run, run], Options()),
        )
    }
    assert len(names) == 7


# Interruptions


def test_an_interrupted_evaluation_continues_where_it_stopped(toy_run, tmp_path, monkeypatch):
    run_dir, _, _ = toy_run
    measured = []
    measure = RunMetrics.__call__

    def watched(self, subject):
        if len(measured) == 1 and not resumed:
            raise KeyboardInterrupt
        measured.append(subject.name)
        return measure(self, subject)

    resumed = False
    monkeypatch.setattr(RunMetrics, "__call__", watched)
    with pytest.raises(KeyboardInterrupt):
        evaluate_runs([run_dir], tmp_path, Options())
    resumed = True
    content = json.loads(json.dumps(evaluate_runs([run_dir], tmp_path, Options()).content))
    assert measured == subjects_of_test(toy_run), "each subject once"
    assert without_time(content) == without_time(read(run_dir / "evaluation"))
    for number, options in enumerate((Options(pairs="grid"), Options(test_time_augmentation=True)), start=2):
        evaluate_runs([run_dir], tmp_path, options)
        assert len(measured) == 2 * number, "other options need new records"


def test_another_model_needs_new_records(toy_run, tmp_path):
    run = shutil.copytree(toy_run[0], tmp_path / "run")
    first = evaluate_runs([run], run / "evaluation", Options()).content["summary"]["ab"]["CycleGAN"]["foreground"]
    (run / "model").rename(run / "kept")
    model = load_model(run / "kept")
    content = model.description.model_dump()
    description = {key: content[key] for key in ("code_version", "contrasts", "preprocessing", "training")}
    swapped = {"ab": model.networks["ba"], "ba": model.networks["ab"]}
    save_model(run / "model", swapped, content["generators"], description)
    second = evaluate_runs([run], run / "evaluation", Options()).content["summary"]["ab"]["CycleGAN"]["foreground"]
    assert second["psnr"]["mean"] != pytest.approx(first["psnr"]["mean"], abs=0.01)


def test_other_validation_pairs_are_another_oracle(moved_run, data_root):
    """Records of the test subjects are made again, although nothing of theirs changed."""
    oracles = []
    for _ in range(2):
        content = evaluate_runs([moved_run], moved_run / "evaluation", Options()).content
        oracles.append(content["summary"]["ab"]["oracle look-up table"]["foreground"]["mae"]["mean"])
        for name in json.loads((moved_run / "split.json").read_text())["subjects"]["val"]:
            path = scan(data_root, name, "T2w")
            image = nibabel.load(path)
            voxels = np.asarray(image.dataobj)
            write_volume(path, np.where(voxels > 200, voxels.max() + 200 - voxels, voxels), image.affine)
    assert oracles[1] > oracles[0] + 0.05


def test_other_voxels_in_a_file_of_the_same_size_and_time_are_seen(moved_run, data_root):
    path = scan(data_root, subjects_of_test((moved_run, None, None))[0], "T2w")
    image = nibabel.load(path)
    voxels = np.array(image.dataobj)
    plain = path.with_name(path.name.removesuffix(".gz"))
    write_volume(plain, voxels, image.affine)
    path.unlink()
    before = evaluate_runs([moved_run], moved_run / "evaluation", Options()).content["subjects"][0]["ways"]["ab"]
    status = plain.stat()
    write_volume(plain, np.ascontiguousarray(voxels[::-1]), image.affine)
    os.utime(plain, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert plain.stat().st_size == status.st_size
    after = evaluate_runs([moved_run], moved_run / "evaluation", Options()).content["subjects"][0]["ways"]["ab"]
    assert before["metrics"]["copy"] != after["metrics"]["copy"]


def test_labels_that_came_later_are_seen(toy_run, data_root, tmp_path, command):
    words = (toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    labels = data_root / "derivatives" / "tissues"
    labels.rename(tmp_path / "kept")
    assert command(*words)[0] == 0
    assert read(tmp_path / "out")["subjects"][0]["ways"]["ab"]["tissues"] == {}
    (tmp_path / "kept").rename(labels)
    assert command(*words)[0] == 0
    assert set(read(tmp_path / "out")["subjects"][0]["ways"]["ab"]["tissues"]) >= {"gm", "wm", "csf"}


@pytest.mark.slow
def test_a_killed_evaluation_continues(toy_run, tmp_path):
    run_dir, _, _ = toy_run
    words = [sys.executable, "-m", "mri_cyclegan.evaluate", str(run_dir), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    subject, deadline = subjects_of_test(toy_run)[0], time.monotonic() + 120
    while not (found := list((tmp_path / "out").glob(f"subjects/{subject}-*.json"))) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (first,) = found
    assert not (tmp_path / "out" / "metrics.json").exists()
    written = first.stat().st_mtime_ns
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    assert first.stat().st_mtime_ns == written
    assert without_time(read(tmp_path / "out")) == without_time(read(run_dir / "evaluation"))


# Targets that do not fit


def test_a_target_on_another_grid_is_refused_by_name_resampled_or_left_out(toy_run, data_root, tmp_path, command):
    run_dir, _, _ = toy_run
    subject, other = subjects_of_test(toy_run)
    path = scan(data_root, subject, "T2w")
    image = nibabel.load(path)
    write_volume(
        path, np.asarray(image.dataobj)[:, :, 1:], image.affine @ nibabel.affines.from_matvec(np.eye(3), (0, 0, 1))
    )
    words = (run_dir, "--data-root", data_root, "--output", tmp_path / "out")

    status, output = command(*words, "--pairs", "grid")
    assert status == 2
    assert str(path) in output
    assert "not on the grid of" in output
    assert "--pairs space" in output
    assert other not in output
    assert not (tmp_path / "out" / "metrics.json").exists()

    status, output = command(*words)
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["resampled_targets"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "resampled" in page
    pairings = [one["pairing"] for one in content["subjects"]]
    assert [pairing and pairing["registration"] for pairing in pairings] == [None, None]
    assert sum("voxels instead of" in pairing["difference"] for pairing in pairings if pairing) == 1
    # The missing slice does not count: the rest is where it was.
    whole = read(run_dir / "evaluation")["subjects"][0]["ways"]["ab"]["metrics"]["CycleGAN"]["foreground"]
    moved = content["subjects"][0]["ways"]["ab"]["metrics"]["CycleGAN"]["foreground"]
    assert moved["psnr"] == pytest.approx(whole["psnr"], abs=0.7)

    status, output = command(*words, "--pairs", "grid", "--skip-unfit")
    assert status == 0, output
    assert [one["subject"] for one in read(tmp_path / "out")["subjects"]] == [other]
    assert f"Left out: {path}" in output


def test_targets_are_resampled_linearly(toy_run, data_root, tmp_path):
    """The target moved by 0.4 of a voxel: the error of the copied source, from the files."""
    subject = subjects_of_test(toy_run)[0]
    path = scan(data_root, subject, "T2w")
    image = nibabel.load(path)
    moved = image.affine @ nibabel.affines.from_matvec(np.eye(3), (0.4, 0, 0))
    write_volume(path, np.asarray(image.dataobj), moved)
    options = Options(data_root=data_root)
    content = evaluate_runs([toy_run[0]], tmp_path / "out", options).content
    source, target = (scale_intensities(read_volume(scan(data_root, subject, name))) for name in ("T1w", "T2w"))
    truth = ndimage.shift(target.array, (0.4, 0, 0), order=1, mode="nearest")
    found = content["subjects"][0]["ways"]["ab"]["metrics"]["copy"]["whole"]["mae"]
    assert found == pytest.approx(np.abs(source.array - truth).mean(), abs=1e-5)


def test_a_target_stored_in_another_order_or_two_microns_aside_has_the_same_figures(toy_run, data_root, tmp_path):
    for subject, axcodes in zip(subjects_of_test(toy_run), ("LAS", "PSR")):
        path = scan(data_root, subject, "T2w")
        image = nibabel.load(path)
        change = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientations.axcodes2ornt(axcodes))
        other = image.as_reoriented(change)
        affine = nibabel.affines.from_matvec(np.eye(3), (0, 0.002, 0)) @ other.affine
        write_volume(path, np.asarray(other.dataobj), affine)
    content = evaluate_runs([toy_run[0]], tmp_path / "out", Options(data_root=data_root, pairs="grid")).content
    for found, expected in zip(content["subjects"], read(toy_run[0] / "evaluation")["subjects"], strict=True):
        assert found["pairing"] is None
        for direction in ("ab", "ba"):
            whole = expected["ways"][direction]["metrics"]["CycleGAN"]["foreground"]
            assert found["ways"][direction]["metrics"]["CycleGAN"]["foreground"] == pytest.approx(whole, abs=2e-3)


def test_a_moved_target_is_registered_and_the_result_says_how(toy_run, data_root, tmp_path):
    """By 5 mm and 5°, on voxels of 8 mm."""
    subject = subjects_of_test(toy_run)[0]
    path = scan(data_root, subject, "T2w")
    image = nibabel.load(path)
    turn = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0, np.radians(5), 0), (0, 3, 4))
    write_volume(path, np.asarray(image.dataobj), turn @ image.affine)
    found = {
        rule: evaluate_runs([toy_run[0]], tmp_path / rule, Options(data_root=data_root, pairs=rule)).content
        for rule in ("space", "register")
    }
    nmi = {
        rule: content["subjects"][0]["ways"]["ab"]["metrics"]["copy"]["foreground"]["nmi"]
        for rule, content in found.items()
    }
    assert nmi["register"] > nmi["space"] + 0.02
    registration = found["register"]["subjects"][0]["pairing"]["registration"]
    residual = np.array(registration["matrix"]) @ turn - np.eye(4)
    assert np.linalg.norm((residual @ [*registration["center_mm"], 1])[:3]) < 1
    assert registration["rotation_degrees"] == pytest.approx(5, abs=0.6)
    assert found["register"]["subjects"][1]["pairing"] is None


def test_a_target_of_another_place_is_refused_by_name(toy_run, data_root, tmp_path, command):
    path = scan(data_root, subjects_of_test(toy_run)[1], "T2w")
    image = nibabel.load(path)
    write_volume(path, np.roll(np.asarray(image.dataobj), 6, axis=1), image.affine)
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 2
    assert str(path) in output
    assert "not registered" in output


def test_a_broken_target_is_refused_by_name(toy_run, data_root, tmp_path, command):
    path = scan(data_root, subjects_of_test(toy_run)[0], "T1w")
    path.write_bytes(path.read_bytes()[:-300])
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 2
    assert str(path) in output
    assert "truncated" in output or "ends early" in output


def test_all_unfit_files_are_told_together_and_an_empty_scan_is_left_out(moved_run, data_root, command):
    first, second = subjects_of_test((moved_run, None, None))
    image = nibabel.load(scan(data_root, second, "T1w"))
    voxels = np.array(image.dataobj)
    write_volume(scan(data_root, second, "T1w"), np.zeros(image.shape, np.uint8), image.affine)
    status, output = command(moved_run)
    assert status == 0, output
    assert f"Left out: {scan(data_root, second, 'T1w')}" in output
    for subject in (first, second):
        path = scan(data_root, subject, "T2w")
        path.write_bytes(path.read_bytes()[:-300])
    write_volume(scan(data_root, second, "T1w"), voxels, image.affine)
    status, output = command(moved_run)
    assert status == 2
    assert str(scan(data_root, first, "T2w")) in output
    assert str(scan(data_root, second, "T2w")) in output


def test_without_pairs_the_rest_is_measured(toy_run, data_root, tmp_path, command):
    first, second = subjects_of_test(toy_run)
    scan(data_root, first, "T2w").unlink()
    scan(data_root, second, "T1w").unlink()
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["summary"] == {"ab": {}, "ba": {}}
    assert "no pairs" in content["verdict"][0]
    assert content["unpaired"]["ab"]["wasserstein"] > 0
    levels = {audit["name"]: audit["level"] for audit in content["audits"] if audit["way"] != "ba"}
    assert levels["Lesions"] == levels["Registration"] == "unknown"
    assert levels["Copying"] != "unknown"
    figures = {audit["name"]: audit["figure"] for audit in content["audits"]}
    assert figures["Hidden code"].startswith("cycle PSNR"), "measured, though this toy's cycle does not close"
    assert "no pairs" in (tmp_path / "out" / "report.html").read_text()


# What is unlike the training


def test_the_other_contrast_under_the_name_of_the_source_is_flagged(toy_run, data_root, tmp_path, command):
    subject, other = subjects_of_test(toy_run)
    t1w, t2w = (scan(data_root, subject, contrast) for contrast in ("T1w", "T2w"))
    t1w.rename(tmp_path / "kept.nii.gz")
    t2w.rename(t1w)
    (tmp_path / "kept.nii.gz").rename(t2w)
    status, output = command(toy_run[0], "--data-root", data_root, "--output", tmp_path / "out")
    assert status == 0
    flagged = {
        one["subject"]: [of_direction["out_of_domain"] for of_direction in one["ways"].values()]
        for one in read(tmp_path / "out")["subjects"]
    }
    assert all(any("intensities differ by" in clause for clause in clauses) for clauses in flagged[subject])
    assert flagged[other] == [[], []]
    assert f"{subject}: the T1w is unlike those trained on" in output


# Uncertainty


def test_an_ensemble_has_a_mean_and_a_spread(toy_run, tmp_path, command):
    run_dir, _, _ = toy_run
    again = shutil.copytree(run_dir, tmp_path / "again")
    status, output = command(run_dir, again, "--output", tmp_path / "out")
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["uncertainty"]["kind"] == "ensemble of 2 runs"
    # Two copies of one model agree: the same numbers, no spread.
    single = read(run_dir / "evaluation")["summary"]["ab"]["CycleGAN"]["foreground"]["psnr"]["mean"]
    assert content["summary"]["ab"]["CycleGAN"]["foreground"]["psnr"]["mean"] == pytest.approx(single, abs=1e-4)
    assert all(row["spread"] < 1e-6 for row in content["uncertainty"]["ab"]["calibration"])


def test_a_member_of_an_ensemble_that_trained_on_a_test_subject_is_told(toy_run, tmp_path):
    run_dir, _, _ = toy_run
    other = Path(shutil.copytree(run_dir, tmp_path / "other"))
    split = json.loads((other / "split.json").read_text())
    split["subjects"]["train_a"] += split["subjects"]["test"]
    (other / "split.json").write_text(json.dumps(split))
    content = evaluate_runs([run_dir, other], tmp_path / "out", Options()).content
    (pairing,) = (audit for audit in content["audits"] if audit["name"] == "Pairing")
    assert pairing["level"] == "red"


def test_test_time_augmentation_has_a_spread(toy_run, tmp_path, command):
    status, output = command(toy_run[0], "--tta", "--output", tmp_path / "out")
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["uncertainty"]["kind"] == "test-time augmentation"
    stds = [row["spread"] for row in content["uncertainty"]["ab"]["calibration"]]
    assert stds[-1] > 1e-3
    single = read(toy_run[0] / "evaluation")["summary"]["ab"]["CycleGAN"]["foreground"]["psnr"]["mean"]
    assert content["summary"]["ab"]["CycleGAN"]["foreground"]["psnr"]["mean"] > single, "a mean of views errs less"


# Volumes of another program


@pytest.fixture
def predictions(toy_run, tmp_path):
    """Folders with the run's own outputs, in [0, 1], their targets and their sources."""
    run_dir, _, _ = toy_run
    root = Path(json.loads((run_dir / "split.json").read_text())["root"])
    translator = load_model(run_dir).translator()
    folders = {name: tmp_path / name for name in ("synthetic", "T2w", "T1w")}
    for folder in folders.values():
        folder.mkdir()
    for subject in subjects_of_test(toy_run):
        source = scale_intensities(read_volume(scan(root, subject, "T1w")))
        output = translator(source, "ab")
        write_volume(folders["synthetic"] / f"{subject}_desc-synth_T2w.nii.gz", output, source.affine)
        for contrast in ("T1w", "T2w"):
            shutil.copy(scan(root, subject, contrast), folders[contrast])
    return folders


def test_volumes_of_another_program_get_the_same_numbers(toy_run, predictions, command, tmp_path):
    words = ("--prediction", predictions["synthetic"], "--target", predictions["T2w"])
    status, output = command(*words, "--source", predictions["T1w"], "--output", tmp_path / "out")
    assert status == 0, output
    content, run = read(tmp_path / "out"), read(toy_run[0] / "evaluation")
    assert content["method"] == "prediction"
    for found, expected in zip(content["subjects"], run["subjects"]):
        for method, same in (("prediction", "CycleGAN"), ("copy", "copy")):
            for region in ("foreground", "whole"):
                of_method = found["ways"]["ab"]["metrics"][method][region]
                assert of_method == pytest.approx(expected["ways"]["ab"]["metrics"][same][region], abs=1e-4)
    levels = {audit["name"]: audit["level"] for audit in content["audits"]}
    assert levels["Hidden code"] == "unknown"
    expected = {audit["name"]: audit["level"] for audit in run["audits"] if audit["way"] == "ab"}
    assert levels["Slice consistency"] == expected["Slice consistency"]


def test_without_sources_less_is_measured(predictions, command, tmp_path):
    words = ("--prediction", predictions["synthetic"], "--target", predictions["T2w"], "--output", tmp_path / "out")
    status, output = command(*words)
    assert status == 0, output
    content = read(tmp_path / "out")
    assert content["methods"] == ["prediction", "mean intensity"]
    assert content["unpaired"]["ab"]["subject_matching"] is None


def test_predictions_in_another_range(predictions, command, tmp_path):
    for path in predictions["synthetic"].iterdir():
        image = nibabel.load(path)
        write_volume(path, np.asarray(image.dataobj) * 2000 - 1000, image.affine)
    words = ("--prediction", predictions["synthetic"], "--target", predictions["T2w"], "--output", tmp_path / "out")
    status, output = command(*words)
    assert status == 2
    assert "--prediction-range" in output
    assert "_desc-synth_T2w.nii.gz" in output
    status, output = command(*words, "--prediction-range", "-1000,1000")
    assert status == 0, output


def test_predictions_without_a_target_or_on_another_grid_are_named(predictions, command, tmp_path):
    words = ("--prediction", predictions["synthetic"], "--target", predictions["T2w"], "--output", tmp_path / "out")
    first, second = sorted(predictions["T2w"].iterdir())
    image = nibabel.load(second)
    write_volume(second, np.asarray(image.dataobj)[1:], image.affine)
    status, output = command(*words)
    assert status == 2
    assert str(second) in output
    first.unlink()
    status, output = command(*words)
    assert status == 2
    assert f"{first.name.replace('_T2w', '_desc-synth_T2w')}: no target for it" in output


# Comparison and leaderboard


def test_a_run_compared_with_itself_does_not_differ(toy_run, command):
    status, output = command("--compare", toy_run[0], toy_run[0])
    assert status == 0, output
    assert "+0.00 [+0.00, +0.00]" in output


def test_a_run_that_was_not_evaluated_is_evaluated_first(toy_run, tmp_path, command):
    other = tmp_path / "other"
    shutil.copytree(toy_run[0], other, ignore=shutil.ignore_patterns("evaluation"))
    status, output = command("--compare", toy_run[0], other)
    assert status == 0, output
    assert (other / "evaluation" / "metrics.json").is_file()


def test_leaderboard(toy_run, tmp_path, command):
    for name, cycle in (("0", 1), ("1", 5)):
        shutil.copytree(toy_run[0], tmp_path / name)
        (tmp_path / name / ".hydra").mkdir(exist_ok=True)
        (tmp_path / name / ".hydra" / "overrides.yaml").write_text(f"- model.lambda_cycle={cycle}\n")
    metrics = tmp_path / "1" / "evaluation" / "metrics.json"
    content = json.loads(metrics.read_text())
    content["summary"]["ab"]["CycleGAN"]["foreground"]["psnr"]["mean"] += 1
    metrics.write_text(json.dumps(content))
    status, output = command("--leaderboard", tmp_path, "--metric", "psnr_ab")
    assert status == 0, output
    assert "best    model.lambda_cycle=5" in output
    assert len((tmp_path / "leaderboard.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give one of RUN_DIR, --prediction, --compare, --leaderboard; got none"),
        (["run", "--leaderboard", "x"], "got RUN_DIR and --leaderboard"),
        (["--prediction", "x"], "--prediction needs --target"),
        (["--prediction", "x", "--target", "y", "--prediction-range", "1,0"], "--prediction-range: expected LOW,HIGH"),
        (["--leaderboard", "nowhere"], "no evaluated run is below it"),
        (["--leaderboard", "x", "--tta"], "--tta does not apply to --leaderboard"),
        (["run", "--target", "x"], "--target does not apply to RUN_DIR"),
    ],
)
def test_a_mistaken_command_is_told(words, message, command):
    status, output = command(*words)
    assert status == 2
    assert message in output
