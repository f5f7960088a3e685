"""Thousands of files spoiled by chance: each is read as the standard has it, or refused; none crashes the reader.

They are read in processes of their own with 2 GB of address space and 10 s a file.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bad_inputs import fuzz_checks, nifti_mutations, nifti_reference, png_reference
from bad_inputs.fuzz import MEMORY_BYTES, outcome, stop
from PIL import Image

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions, Volume

TESTS = Path(__file__).parents[1]
NUM_NIFTI, NUM_PNG = 2000, 300

# Kind to the least number of files that are read, and that are refused; None: all of them are.
NIFTI_FLOORS = {
    "unchanged": (None, 0),
    "header_bits": (60, 15),
    "voxel_bits": (80, 10),
    "packed_bits": (0, 120),
    "packed_header": (40, 40),
    "packed_trailer": (0, None),
    "truncated": (0, None),
    "truncated_before_packing": (0, None),
    "extended": (0, None),
    "dims": (20, 50),
    "offset": (1, 110),
    "datatype": (1, 110),
    "scaling": (50, 25),
    "affine": (50, 25),
    "magic": (1, 100),
}
PNG_FLOORS = {
    "unchanged": (None, 0),
    "bits": (0, None),
    "truncated": (0, None),
    "extended": (None, 0),
    "header": (2, 20),
    "packed_rows": (0, 30),
    "rows": (3, 15),
    "order": (5, 10),
}


def fuzz(what, folder, count):
    """One line a file, and the process's memory."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bad_inputs.fuzz", what, str(folder), str(count)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, f"after {len(lines)} files: {result.stderr}"
    *lines, process = lines
    assert len(lines) == count
    return lines, process


@pytest.fixture(scope="module")
def nifti_run(tmp_path_factory):
    return fuzz("nifti", tmp_path_factory.mktemp("nifti"), NUM_NIFTI)


@pytest.fixture(scope="module")
def png_run(tmp_path_factory):
    return fuzz("png", tmp_path_factory.mktemp("png"), NUM_PNG)


def check_outcomes(run, floors):
    """Nothing but read and refused, and of each enough that the test says something; prints the counts."""
    lines, process = run
    bad = [line for line in lines if line["outcome"] not in ("read", "refused")]
    assert not bad, bad[:3]
    counts = Counter((line["kind"], line["outcome"]) for line in lines)
    assert {kind for kind, _ in counts} == set(floors)
    print(f"\n{'kind':<26}{'read':>6}{'refused':>9}")
    for kind, (least_read, least_refused) in floors.items():
        read, refused = counts[kind, "read"], counts[kind, "refused"]
        print(f"{kind:<26}{read:>6}{refused:>9}")
        assert read == read + refused if least_read is None else read >= least_read, kind
        assert refused == read + refused if least_refused is None else refused >= least_refused, kind
    print(f"peak memory {process['peak_bytes'] / 2**20:.0f} MiB")
    assert process["peak_bytes"] < MEMORY_BYTES / 10


def test_spoiled_nifti_files_are_read_rightly_or_refused(nifti_run):
    check_outcomes(nifti_run, NIFTI_FLOORS)


def test_every_refusal_of_a_nifti_file_says_why(nifti_run):
    problems = [line["details"] for line in nifti_run[0] if line["outcome"] == "refused"]
    assert all(len(problem) > 10 for problem in problems)
    for words in (
        "truncated",
        "CRC check failed",
        "bytes after the last voxel",
        "bad magic",
        "bad data offset",
        "dimensions",
        "voxels; at most",
        "unknown voxel type",
        "NaN or infinite",
        "are not finite",
        "the affine is singular",
        "neither sform nor qform",
        "quaternion",
        "in pixdim",
        "not in mm",
        "expected one 3-D volume",
    ):
        assert any(words in problem for problem in problems), words


def test_spoiled_png_files_are_read_rightly_or_refused(png_run):
    check_outcomes(png_run, PNG_FLOORS)


# The second opinions are right where a third one is to be had, and notice what they should


@pytest.mark.parametrize("base", nifti_mutations.bases(), ids=lambda base: f"{base.name}{', packed' * base.is_packed}")
def test_the_second_opinion_on_sound_nifti_files_is_nibabels(tmp_path, base):
    path = tmp_path / f"scan.nii{'.gz' if base.is_packed else ''}"
    path.write_bytes(base.stored(base.content))
    image = nibabel.load(path)
    expected = image.get_fdata(dtype=np.float64)
    expected = expected if base.volume_index is None else expected[..., base.volume_index]
    found = nifti_reference.decode(path.read_bytes(), base.volume_index)
    np.testing.assert_array_equal(found.array, expected.astype(np.float32))
    np.testing.assert_allclose(found.affine, image.affine, atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "I;16", "LA", "RGB", "RGBA"])
def test_the_second_opinion_on_sound_png_files_is_pillows(tmp_path, mode):
    array = np.add.outer(np.arange(21) * 3, np.arange(34) * 5).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(array)
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(png_reference.decode((tmp_path / "a.png").read_bytes()), array)


@pytest.mark.parametrize("change", ["voxel", "affine", "refusal", "hang"])
def test_a_reader_that_errs_is_noticed(tmp_path, monkeypatch, change):
    base = nifti_mutations.bases()[0]
    path = tmp_path / "scan.nii"
    path.write_bytes(base.content)

    def err(path, options):
        volume = read_volume(path, options)
        if change == "refusal":
            raise KeyError("not a refusal")
        if change == "hang":
            signal.raise_signal(signal.SIGALRM)
        one = 1 if change == "voxel" else 0
        return Volume(volume.array + one * (volume.array == volume.array.max()), volume.affine + 1 - one)

    monkeypatch.setattr(fuzz_checks, "read_volume", err)
    previous = signal.signal(signal.SIGALRM, stop)
    try:
        result, _ = outcome(lambda: fuzz_checks.check_nifti(path, base, "unchanged"))
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert result == ("wrong" if change in ("voxel", "affine") else "crash")


@pytest.mark.parametrize("kind", ["truncated", "packed_trailer", "extended", "magic"])
def test_a_reader_that_lets_broken_files_pass_is_noticed(tmp_path, monkeypatch, kind):
    sound = nifti_mutations.bases()[1]
    content = nifti_mutations.KINDS[kind](sound, np.random.default_rng(1))
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    with pytest.raises(UnfitFile):
        read_volume(path)
    volume = Volume(np.ones(nifti_mutations.SHAPE, np.float32), nifti_mutations.AFFINE)
    monkeypatch.setattr(fuzz_checks, "read_volume", lambda path, options: volume)
    result, details = outcome(lambda: fuzz_checks.check_nifti(path, sound, kind))
    assert result in ("wrong", "crash"), details


# What is read goes on to preprocessing


def test_whatever_is_read_can_be_prepared(tmp_path):
    sound = nifti_mutations.bases()
    preprocessing = Preprocessing("axial", 2.0, 32)
    num_prepared = 0
    for number in range(400):
        kind, base, content = nifti_mutations.mutant(number, sound)
        path = tmp_path / f"scan.nii{'.gz' if base.is_packed else ''}"
        path.write_bytes(content)
        try:
            volume = read_volume(path, ReadOptions(volume_index=base.volume_index))
        except UnfitFile:
            continue
        try:
            prepared = preprocessing(volume)
        except ValueError as error:
            assert "same value" in str(error) or "no contrast" in str(error), (number, kind)
            continue
        assert np.isfinite(prepared.slices).all(), (number, kind)
        assert prepared.slices.min() >= -1 and prepared.slices.max() <= 1, (number, kind)
        assert prepared.slices.shape[1:] == (32, 32)
        num_prepared += 1
    assert num_prepared > 100
