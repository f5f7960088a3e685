"""Each doubtful input of the catalogue, through the commands that meet it: verify, and train."""

import errno
import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bad_inputs.affine_cases import AFFINES
from bad_inputs.case import Case, content
from bad_inputs.catalogue import CASES
from bad_inputs.heads import AFFINE, head, nifti, packed, picture
from bad_inputs.permissions import permissions_matter
from hydra.utils import instantiate
from scipy import ndimage
from typer.testing import CliRunner

from mri_cyclegan.data import source_hash
from mri_cyclegan.data.findings import UnfitData
from mri_cyclegan.data.formats.picture import PICTURE_AFFINE
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.train import train
from mri_cyclegan.verification import report as verification_report
from mri_cyclegan.verify import app
from tests.integration.conftest import TOY

EXIT_STATUS = {"refused": 2, "warned": 1, "dropped": 1, "accepted": 0}
SEVERITY = {"refused": "error", "warned": "warning", "dropped": "warning"}
REFUSED = [case for case in CASES if case.outcome == "refused"]

# Verify finds them by the same code: that training stops at them is tried of every fourth, of all when there is time.
EVERY_FOURTH = [
    case if number % 4 == 0 else pytest.param(case, marks=pytest.mark.slow) for number, case in enumerate(REFUSED)
]
USED = [case for case in CASES if case.outcome != "refused"]


def named(cases, *names):
    """Cases of the catalogue by name."""
    by_name = {case.name: case for case in cases}
    return [by_name[name] for name in names]


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory):
    """One cache for all data sets, most of whose scans are the same."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def data_root(tmp_path):
    """Where the data set lies: no path of it is an easy one."""
    return tmp_path / "my scans #1 = Müller, 頭 {x}"


@pytest.fixture(scope="module")
def composed(compose_run):
    """Composes a configuration once for all cases that share their overrides: it takes longer than the cases do."""
    return cache(lambda words: compose_run("run", *TOY, *words, "data.root=data"))


@pytest.fixture
def compose_case(tmp_path, data_root, cache_root, composed):
    """Configuration of a toy run on a case's data set."""

    def compose(case, *words, cache=cache_root):
        config = deepcopy(composed((*case.train_words(), *words)))
        config.run_dir, config.data.root, config.data.cache_root = map(str, (tmp_path / "run", data_root, cache))
        return config

    return compose


def obeying_permissions(case):
    return nullcontext() if case.privileges else permissions_matter()


def entries(cache):
    """Prepared volumes."""
    return {path.name for path in Path(cache).iterdir() if path.name != "sources"}


def half_written(*folders):
    return [path for folder in folders for path in folder.rglob(".partial-*")]


def about(findings, path, root=None):
    """Those that name a path, a file in it, or the data set as a whole."""
    named = [(Path(finding["path"]), finding) for finding in findings]
    return [finding for name, finding in named if path in (name, *name.parents) or name == root]


def say(case, texts):
    """Whether one of the texts has all of the words that it should."""
    return any(all(words in text for words in case.says) for text in texts)


def is_prepared(config, path):
    """Whether the cache holds slices of a file, or of a folder of DICOM files."""
    return instantiate(config.data).cache.find(Scan("", "", "", path)) is not None


# Verify


def run_verify(*words):
    result = CliRunner().invoke(app, [*map(str, words), "--jobs", "1"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verify_tells(case, tmp_path, data_root):
    doubtful = case.build(data_root)
    with obeying_permissions(case):
        status, output = run_verify(data_root, "--strict", "--output", tmp_path / "report", *case.verify_words())
    assert status == EXIT_STATUS[case.outcome], output
    if not (tmp_path / "report").exists():
        assert case.doubtful == "", output
        assert str(data_root) in output
        assert say(case, [output]), output
        return
    report = json.loads((tmp_path / "report" / "verify.json").read_text(encoding="utf-8"))
    findings = report["findings"]
    grave = [finding for finding in findings if finding["severity"] == "error"]
    expected = grave if case.outcome == "refused" else findings
    assert about(expected, doubtful, data_root) == expected
    if case.outcome == "accepted":
        assert expected == []
    else:
        assert {finding["severity"] for finding in expected} == {SEVERITY[case.outcome]}
        assert say(case, [f"{one['path']}: {one['problem']}. {one['remedy']}" for one in expected]), expected
    assert half_written(tmp_path) == []


@pytest.mark.parametrize("case", named(CASES, "JPEG", "constant"), ids=str)
def test_verify_without_strict_lets_warnings_pass(case, tmp_path, data_root):
    case.build(data_root)
    status, output = run_verify(data_root, "--output", tmp_path / "report", *case.verify_words())
    assert status == 0
    assert "0 errors, 1 warnings" in output


@pytest.mark.parametrize("case", named(CASES, "empty folder", "only one contrast", "closed data set"), ids=str)
def test_what_is_no_data_set_is_said_at_once(case, tmp_path, data_root):
    case.build(data_root)
    with obeying_permissions(case):
        status, output = run_verify(data_root, "--output", tmp_path / "report")
    assert status == 2
    assert str(data_root) in output
    assert not (tmp_path / "report").exists()


# Train


@pytest.mark.parametrize("case", EVERY_FOURTH, ids=str)
def test_training_refuses(case, tmp_path, data_root, cache_root, compose_case):
    doubtful = case.build(data_root)
    config = compose_case(case)
    with obeying_permissions(case), pytest.raises(ValueError) as refusal:
        train(config)
    message = str(refusal.value)
    assert str(doubtful) in message
    assert say(case, [message]), message
    assert half_written(tmp_path, cache_root) == []
    assert is_prepared(config, doubtful) == ("the same voxels as" in case.says)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("case", USED, ids=str)
def test_data_preparation_goes_on(case, tmp_path, data_root, cache_root, compose_case):
    doubtful = case.build(data_root)
    datamodule = instantiate(compose_case(case).data)
    datamodule.prepare_data()
    datamodule.setup()
    findings = [finding.as_json() for finding in datamodule.findings]
    split = datamodule.split
    used = {scan.path for part in (split.train_a, split.train_b, split.val, split.test) for scan in part}
    if case.outcome == "accepted":
        assert findings == []
    else:
        assert {finding["severity"] for finding in findings} == {"warning"}
        assert about(findings, doubtful) == findings
        assert say(case, [f"{one['path']}: {one['problem']}. {one['remedy']}" for one in findings])
    assert len(used) >= 4
    assert (doubtful in used) == (case.outcome != "dropped" and doubtful.name != "up")
    assert half_written(tmp_path, cache_root) == []


@pytest.mark.parametrize("case", [case for case in USED if case.like_sound], ids=str)
def test_the_same_head_stored_in_any_way_gives_the_same_slices(case, data_root, compose_case):
    doubtful = case.build(data_root)
    datamodule = instantiate(compose_case(case).data)
    sound = Volume(head().astype(np.float32), AFFINE)
    if case.layout == "png":
        sound = Volume(picture()[None].astype(np.float32), PICTURE_AFFINE)
    expected = datamodule.preprocessing(sound)
    found = datamodule.cache.get(Scan("sub-05", "", "T1w", doubtful))
    np.testing.assert_allclose(found.slices, expected.slices, atol=2e-4)
    np.testing.assert_array_equal(found.foreground, expected.foreground)


@pytest.mark.parametrize("case", [case for case in AFFINES if case.outcome != "refused"], ids=str)
def test_slices_lie_where_the_head_lies(case, data_root, compose_case):
    doubtful = case.build(data_root)
    datamodule = instantiate(compose_case(case).data)
    volume = read_volume(doubtful, datamodule.cache.options)
    found = datamodule.cache.get(Scan("sub-05", "", "T1w", doubtful))
    place = center_of_mass(found.slices + 1, np.array(found.record["affine"]))
    np.testing.assert_allclose(place, center_of_mass(volume.array, volume.affine), atol=1)


def center_of_mass(array, affine):
    """In mm; voxels are 9 mm."""
    return affine[:3] @ [*ndimage.center_of_mass(array), 1]


@pytest.mark.parametrize("case", named(USED, "4-D with volume_index", "sheared affine", "constant"), ids=str)
def test_training_runs_to_its_end(case, tmp_path, data_root, compose_case):
    case.build(data_root)
    summary = train(compose_case(case, "trainer.max_epochs=1"))
    assert summary["mean"]["CycleGAN"]
    findings = tmp_path / "run" / "findings.json"
    assert findings.exists() == (case.outcome != "accepted")


# All of it together


def test_every_unfit_file_is_named_in_one_message(tmp_path, data_root, compose_case):
    cases = named(REFUSED, "truncated .nii", "wrong CRC", "NaN voxels", "broken symlink of a folder", "singular affine")
    cases[0].build(data_root)
    paths = []
    for number, case in enumerate(cases):
        path = data_root / case.doubtful.replace("sub-05", f"sub-{number + 10}")
        case.make(path)
        paths.append(path)
    with pytest.raises(UnfitData) as refusal:
        train(compose_case(cases[0]))
    lines = str(refusal.value).splitlines()
    assert lines[0] == "6 problems in 13 scans:"
    for case, path in zip(cases, paths, strict=True):
        (line,) = (line for line in lines if str(path) in line)
        assert say(case, [line])
    assert "data.on_unfit=skip" in lines[-1]


@pytest.mark.parametrize(
    "case", named(REFUSED, "wrong CRC", "a copy under another name", "broken symlink", "4-D", "closed file"), ids=str
)
def test_on_unfit_skip_trains_without_the_unfit(case, data_root, compose_case):
    doubtful = case.build(data_root)
    datamodule = instantiate(compose_case(case, "data.on_unfit=skip").data)
    with obeying_permissions(case):
        datamodule.prepare_data()
        datamodule.setup()
    assert [finding.path for finding in datamodule.findings if finding.severity == "error"] == [doubtful]
    split = datamodule.split
    used = {scan.path for part in (split.train_a, split.train_b, split.val, split.test) for scan in part}
    assert len(used) > 4
    assert doubtful not in used


# As a user runs them


def run_command(module, *words, cwd):
    command = [sys.executable, "-m", f"mri_cyclegan.{module}", *map(str, words)]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    output = " ".join((result.stdout + result.stderr).split())
    assert "Traceback" not in output
    return result.returncode, output


def test_the_verify_command_ends_with_2_and_a_report(tmp_path, data_root):
    (case,) = named(REFUSED, "wrong CRC")
    case.build(data_root)
    status, output = run_command("verify", data_root, "--output", tmp_path / "report", cwd=tmp_path)
    assert status == 2
    assert "1 errors, 0 warnings" in output
    assert (tmp_path / "report" / "verify.json").is_file()
    assert (tmp_path / "report" / "verify.html").is_file()


@pytest.mark.parametrize("name", ["flipped payload byte", "only one contrast"])
def test_the_train_command_ends_with_1_and_one_message(name, tmp_path, data_root):
    (case,) = named(REFUSED, name)
    doubtful = case.build(data_root)
    root = f"data.root={json.dumps(str(data_root), ensure_ascii=False)}"
    status, output = run_command("train", *TOY, *case.train_words(), root, f"run_dir={tmp_path}/run", cwd=tmp_path)
    assert status == 1
    assert str(doubtful) in output
    assert say(case, [output])
    assert "Traceback" in (tmp_path / "run" / "error.txt").read_text(encoding="utf-8")


# The disk


@pytest.fixture
def sound_case(data_root):
    case = Case("sound", content(packed(nifti())), "accepted")
    case.build(data_root)
    return case


def full_disk(*arguments, **settings):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_too_little_free_space_is_refused_before_anything_is_written(tmp_path, sound_case, compose_case, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(ValueError, match=r"data.cache_root: the slices need .* GB, but .* has 0.0 GB free"):
        train(compose_case(sound_case, cache=tmp_path / "cache"))
    assert not (tmp_path / "cache").exists() or entries(tmp_path / "cache") == set()


def test_a_disk_that_fills_up_leaves_no_half_written_slices(tmp_path, sound_case, compose_case, monkeypatch):
    save = np.save

    def save_half(path, array):
        if len(entries(tmp_path / "cache")) < 4:
            return save(path, array)
        path.write_bytes(b"half")
        return full_disk()

    monkeypatch.setattr(np, "save", save_half)
    with pytest.raises(ValueError, match=r"data.cache_root: .* cannot be written \(No space left on device\)"):
        train(compose_case(sound_case, cache=tmp_path / "cache"))
    assert half_written(tmp_path) == []
    prepared = entries(tmp_path / "cache")
    assert 3 <= len(prepared) < 9
    monkeypatch.undo()
    datamodule = instantiate(compose_case(sound_case, cache=tmp_path / "cache").data)
    datamodule.prepare_data()
    assert len(entries(tmp_path / "cache")) == 9, "with room again, the rest is prepared"
    assert prepared < entries(tmp_path / "cache")


def test_hashes_that_cannot_be_remembered_do_not_matter(tmp_path, sound_case, compose_case, monkeypatch):
    monkeypatch.setattr(source_hash, "MIN_FILE_AGE_S", -60.0)
    monkeypatch.setattr(source_hash, "atomic_write_text", full_disk)
    datamodule = instantiate(compose_case(sound_case, cache=tmp_path / "cache").data)
    datamodule.prepare_data()
    assert len(entries(tmp_path / "cache")) == 9


def test_a_report_that_does_not_fit_is_one_message(tmp_path, sound_case, data_root, monkeypatch):
    monkeypatch.setattr(verification_report, "atomic_write_text", full_disk)
    status, output = run_verify(data_root, "--output", tmp_path / "report")
    assert status == 2
    assert "No space left on device" in output
    assert list((tmp_path / "report").iterdir()) == []
