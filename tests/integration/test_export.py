"""Exporting as a user does it, and the model card's own code run beside the files."""

import json
import re
import subprocess
import sys
from functools import partial

import nibabel
import numpy as np
import pytest
import torch
from example_model.models import make_model

from mri_cyclegan import export, load_model
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.exporting.onnx_program import load_onnx
from mri_cyclegan.exporting.torch_program import load_torch_program
from mri_cyclegan.inference.volume_translator import VolumeTranslator

FORMATS = ("onnx", "torch_export", "monai_bundle")
PROGRAMS = {"onnx": ("onnx", load_onnx), "torch_export": ("pt2", load_torch_program)}


@pytest.fixture
def run(run_app):
    """Run the command line in this process."""
    return partial(run_app, export.app)


@pytest.fixture
def model_folder(tmp_path):
    """A model of stacks of three slices."""
    make_model(
        tmp_path / "model",
        {"in_channels": 3, "out_channels": 3},
        image_size=32,
        spacing_mm=8.0,
        num_adjacent_slices=1,
        plane="coronal",
    )
    return tmp_path / "model"


@pytest.mark.parametrize("name", FORMATS)
def test_a_trained_model_is_exported(run, toy_run, tmp_path, name):
    status, output = run(toy_run[0], "--format", name, "--output", tmp_path / "out")
    assert status == 0, output
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["weights_sha256"] == load_model(toy_run[0]).hashes
    assert max(record["max_abs_difference"].values()) <= (0 if name == "monai_bundle" else 1e-5)
    assert f"{tmp_path}/out" in output
    for difference in record["max_abs_difference"].values():
        assert f"{difference:.1e} from the model at most" in output
    card = (tmp_path / "out" / ("docs/README.md" if name == "monai_bundle" else "MODEL_CARD.md")).read_text()
    assert "in the foreground, by version 2 of mri-cyclegan's evaluation protocol" in card
    assert "| oracle look-up table |" in card


@pytest.mark.parametrize("name", FORMATS)
def test_the_code_of_the_card_runs(run, model_folder, tmp_path, monkeypatch, head_scan, name):
    """Each block by itself, in the folder of the export, with a scan in it; scans come out as from the model itself."""
    status, output = run(model_folder, "--format", name)
    assert status == 0, output
    folder = model_folder / "export" / name
    monkeypatch.chdir(folder)
    head_scan(folder / "scan.nii.gz")
    expected = load_model(model_folder).translate("scan.nii.gz", "ab")
    card = (folder / ("docs/README.md" if name == "monai_bundle" else "MODEL_CARD.md")).read_text()
    blocks = re.findall(r"```(python|bash)\n(.*?)```", card, re.DOTALL)
    results = {}
    for language, code in blocks:
        if language == "python":
            exec(compile(code, name, "exec"), results)
        else:
            words = code.replace("\\\n", " ").split()
            assert words[0] == "python"
            done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    assert len(blocks) == 2
    if name == "monai_bundle":
        written = nibabel.load("translations/scan_desc-synth_T2w.nii.gz")
        for image in (written, results["image"]):
            np.testing.assert_array_equal(image.get_fdata(), expected.get_fdata())
            assert image.header == expected.header
        assert json.loads((folder / "translations" / "scan_desc-synth_T2w.json").read_text())["Synthetic"] is True
    else:
        assert results["translations"].shape == (4, 1, 32, 32)
        np.testing.assert_allclose(results["synthetic"], expected.get_fdata(), atol=1e-5)
        assert np.ptp(results["synthetic"]) > 0.1


@pytest.fixture
def head_scan():
    """Writes a scan of a head in dark noise."""

    def write(path):
        axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in (24, 28, 20)], indexing="ij")
        noise = np.random.default_rng(0).uniform(0, 3, axes[0].shape)
        array = np.where(sum((axis / 0.8) ** 2 for axis in axes) < 1, 100 + 40 * axes[0] + 30 * axes[1], noise)
        nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.diag([7.0, 6.0, 9.0, 1.0])), path)

    return write


def test_refusals_are_one_message(run, model_folder, tmp_path):
    (tmp_path / "mine" / "scans").mkdir(parents=True)
    for words, message in (
        ((tmp_path / "nowhere", "--format", "onnx"), "no readable model.json"),
        ((model_folder, "--format", "torch_export", "--output", tmp_path / "mine", "--overwrite"), "is no export"),
    ):
        status, output = run(*words)
        assert status == 2
        assert message in output
        assert "Traceback" not in output
    assert run(model_folder, "--format", "tflite")[0] == 2
    assert run(model_folder)[0] == 2


def test_help_needs_nothing_heavy(tmp_path):
    code = (
        "import sys; from mri_cyclegan import export; from typer.testing import CliRunner; "
        "result = CliRunner().invoke(export.app, ['--help']); print(result.output); "
        "sys.exit(result.exit_code or any(name in sys.modules for name in ('torch', 'monai', 'numpy', 'onnx')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in FORMATS)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_agree_on_real_slices(run, real_data, tmp_path, name):
    """With a network as the demo's, on slices of the baseline's size."""
    make_model(tmp_path / "model", {"base_channels": 16, "depth": 5}, image_size=256, spacing_mm=1.0)
    status, output = run(tmp_path / "model", "--format", name, "--output", tmp_path / "out")
    assert status == 0, output
    model = load_model(tmp_path / "model")
    suffix, load = PROGRAMS[name]
    for direction, contrast in (("ab", "T1w"), ("ba", "T2w")):
        scan = real_data / f"open_ms/sub-07/anat/sub-07_space-MNI_{contrast}.nii.gz"
        slices = model.preprocessing(read_volume(scan)).slices
        slices = slices[:: len(slices) // 8]
        program = VolumeTranslator(
            {direction: load(tmp_path / "out" / f"generator_{direction}.{suffix}")}, model.preprocessing
        )
        expected = model.translator().translate_slices(slices, direction)
        np.testing.assert_allclose(program.translate_slices(slices, direction), expected, atol=1e-5, rtol=0)
        assert np.ptp(expected) > 0.1
        assert slices.max() > 0.5


@pytest.mark.realdata
def test_a_bundle_writes_real_scans_as_the_model_does(run, real_data, tmp_path):
    make_model(tmp_path / "model", {"base_channels": 4, "depth": 4}, image_size=64, spacing_mm=4.0)
    status, output = run(tmp_path / "model", "--format", "monai_bundle")
    assert status == 0, output
    bundle = tmp_path / "model" / "export" / "monai_bundle"
    scan = real_data / "open_ms/sub-07/anat/sub-07_space-MNI_T2w.nii.gz"
    words = ["--config_file", "configs/inference.json", "--dataset_dir", str(scan), "--direction", "ba"]
    words += ["--output_dir", str(tmp_path / "out"), "--device", "cpu"]
    command = [sys.executable, "-m", "monai.bundle", "run", *words]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = nibabel.load(tmp_path / "out" / "sub-07_space-MNI_desc-synth_T1w.nii.gz")
    expected = load_model(tmp_path / "model").translate(scan, "ba")
    np.testing.assert_array_equal(written.get_fdata(), expected.get_fdata())
    assert written.header == expected.header


@pytest.mark.slow
def test_a_program_is_independent_of_this_package(run, model_folder, tmp_path):
    """A process that cannot import it opens and runs both."""
    image = torch.zeros(1, 3, 32, 32)
    outputs = {}
    for name, code in (
        (
            "onnx",
            "import onnxruntime; f = onnxruntime.InferenceSession('generator_ab.onnx').run(None, {'image': x})[0]",
        ),
        ("torch_export", "import torch; f = torch.export.load('generator_ab.pt2').module()(torch.from_numpy(x))"),
    ):
        assert run(model_folder, "--format", name)[0] == 0
        before = (
            "import sys; sys.modules['mri_cyclegan'] = None; import numpy as np; x = np.zeros((1, 3, 32, 32), 'f4')"
        )
        after = "np.save('out.npy', f.detach().numpy() if hasattr(f, 'detach') else f)"
        folder = model_folder / "export" / name
        done = subprocess.run(
            [sys.executable, "-c", f"{before}; {code}; {after}"], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs[name] = np.load(folder / "out.npy")
    expected = load_model(model_folder).networks["ab"](image).detach().numpy()
    for output in outputs.values():
        np.testing.assert_allclose(output, expected, atol=1e-5)
