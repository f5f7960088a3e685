"""Translation and startup, measured at toy size: what is written and printed, not how fast this machine is."""

import json

import nibabel
import numpy as np
import pytest

from mri_cyclegan.benchmarks import startup
from mri_cyclegan.benchmarks.translation import PARTS, benchmark_translation, head
from mri_cyclegan.data.foreground import foreground_mask

TOY_TRANSLATE = [
    "part=translate",
    "translate.shape=[30,27,12]",
    'translate.overrides=["generator.base_channels=4","generator.depth=3"]',
    "translate.device=cpu",
    "translate.repeats=1",
]


def files_of(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "benchmark")))


def medians(written):
    """Each is the only measurement."""
    assert all(0 < of["min"] == of["median"] == of["max"] for of in written["seconds"].values())
    return {name: of["median"] for name, of in written["seconds"].items()}


def test_a_translation_is_measured_part_by_part(tmp_path, run_benchmark):
    result = run_benchmark(*TOY_TRANSLATE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (folder,) = tmp_path.glob("outputs/benchmark/*")
    written = json.loads((folder / "translate.json").read_text())
    assert written["settings"] == {
        "shape": [30, 27, 12],
        "generator": "unet_small",
        "overrides": ["generator.base_channels=4", "generator.depth=3"],
        "image_size": 32,  # the next multiple of 8
        "repeats": 1,
    }
    assert written["machine"]["device"] == "cpu"
    assert written["peak_gpu_memory_bytes"] is None
    seconds = medians(written)
    assert set(seconds) == {*PARTS, "total"}
    assert sum(seconds[part] for part in PARTS) == pytest.approx(seconds["total"])
    ratio = seconds["total"] / seconds["network"]
    assert ratio > 1
    assert written["total_over_network"] == {"median": ratio, "min": ratio, "max": ratio}
    assert files_of(folder) == ["translate.json"], "scan, model and translations are removed"
    for words in ("30×27×12", "32×32", "1 translations", "file to file", f"{ratio:.3f}", "translate.json"):
        assert words in result.stdout
    assert all(label in result.stdout for label in PARTS.values())


def test_the_head_is_one_that_a_scanner_might_give():
    image = head((48, 48, 30))
    assert image.dtype == np.int16
    assert image.min() == 0
    assert (image[foreground_mask(image)] > 0).mean() > 0.9, "its foreground is the head"
    assert (image[:4] == 0).all() and (image[:, :, :2] == 0).all(), "air is exactly 0"
    inside = image[image > 0]
    assert 0.2 < inside.size / image.size < 0.4
    assert np.ptp(inside) > 500


@pytest.mark.slow
def test_the_start_is_measured(tmp_path, run_benchmark):
    result = run_benchmark("part=startup", "startup.num_volumes=6", "startup.repeats=1", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder,) = tmp_path.glob("outputs/benchmark/*")
    written = json.loads((folder / "startup.json").read_text())
    assert written["settings"]["num_volumes"] == 6
    assert written["settings"]["training"][0] == "+experiment=demo"
    assert written["machine"]["num_cores"] >= 1
    seconds = medians(written)
    assert seconds["help"] < seconds["first_step"], "what imports less starts sooner"
    parts = sum(seconds[name] for name in ("prepare_data", "setup", "first_batch"))
    assert parts == pytest.approx(seconds["data_module"])
    assert files_of(folder) == ["startup.json"], "phantom, scans and slices are removed"
    assert all(label in result.stdout for label in startup.LABELS.values())
    for words in ("6 cached volumes", f"{seconds['first_step']:.2f}", "startup.json"):
        assert words in result.stdout


def test_the_scans_differ_from_each_other(tmp_path):
    startup.write_scans(tmp_path, 6)
    scans = sorted(tmp_path.glob("sub-*/anat/sub-*.nii.gz"))
    assert len(scans) == 6
    assert sum(path.name.endswith("_T1w.nii.gz") for path in scans) == 3
    assert {nibabel.load(path).header.get_zooms() for path in scans} == {(8.0, 8.0, 8.0)}
    assert len({np.asarray(nibabel.load(path).dataobj).tobytes() for path in scans}) == 6


def test_a_training_that_ends_before_its_first_step_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(startup, "DEMO", ("+experiment=demmo",))
    with pytest.raises(ValueError, match=r"ended before its first step(.|\n)*experiment/demmo"):
        startup.first_step_s(tmp_path, "run-0")


@pytest.mark.parametrize(
    ("shape", "repeats", "given"),
    [([32, 32], 1, "[32, 32] and 1"), ([32, 32, 7], 1, "7] and 1"), ([8] * 3, 0, "and 0")],
)
def test_translations_that_cannot_be_measured_are_refused(tmp_path, shape, repeats, given):
    with pytest.raises(ValueError, match=r"translate\.shape, translate\.repeats: expected three sizes") as refusal:
        benchmark_translation(tmp_path, shape, "unet_small", [], None, repeats)
    assert f"{given}." in str(refusal.value)


@pytest.mark.parametrize(("num_volumes", "repeats"), [(7, 1), (4, 1), (6, 0)])
def test_starts_that_cannot_be_measured_are_refused(tmp_path, num_volumes, repeats):
    message = f"expected an even number from 6 and at least 1, got {num_volumes} and {repeats}"
    with pytest.raises(ValueError, match=message):
        startup.benchmark_startup(tmp_path, num_volumes, repeats)
