"""A bundle's files are those of the model's own translation."""

import json
import pickle
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.exporting.bundle_check import check_bundle
from mri_cyclegan.exporting.bundle_steps import PrepareScan
from mri_cyclegan.exporting.parity import OutputDifference
from mri_cyclegan.inference.jobs import plan
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.scan_translator import ScanTranslator
from mri_cyclegan.inference.writer import OutputSettings, write_translation


def run(bundle, **keys):
    workflow = ConfigWorkflow(
        str(bundle / "configs" / "inference.json"),
        workflow_type="infer",
        logging_file=False,
        bundle_root=str(bundle),
        device="$torch.device('cpu')",
        **{key: str(value) for key, value in keys.items()},
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    workflow.run()


def test_it_has_what_the_specification_asks(model_of, bundle_of):
    bundle = bundle_of(model_of())
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    weights = {f"models/generator_{direction}.safetensors" for direction in ("ab", "ba")}
    assert files == {"configs/metadata.json", "configs/inference.json", "models/model.json", "LICENSE"} | weights
    assert (bundle / "docs").is_dir()
    assert not any(pickle.PROTO in path.read_bytes()[:1] for path in (bundle / "models").iterdir())


@pytest.mark.parametrize(("direction", "value_range"), [("ab", "unit"), ("ba", "reference")])
def test_it_writes_what_the_model_itself_does(any_model, bundle_of, head, save_nifti, tmp_path, direction, value_range):
    rotation = nibabel.eulerangles.euler2mat(0.2, -0.15, 0.1)
    affine = nibabel.affines.from_matvec(rotation @ np.diag((7.0, 6.0, 9.0)), (3, -8, 21))
    scan = save_nifti(tmp_path / "scans" / "sub-1.nii.gz", head((20, 24, 13)), affine)
    keys = dict(dataset_dir=scan, output_dir=tmp_path / "out", direction=direction, value_range=value_range)
    run(bundle_of(any_model), **keys)
    (made,) = (tmp_path / "out").glob("*.nii.gz")
    written, expected = nibabel.load(made), any_model.translate(scan, direction, value_range=value_range)
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(expected.dataobj))
    assert written.header == expected.header
    assert np.ptp(written.get_fdata()) > 0.01


def test_a_folder_becomes_what_translate_makes_of_it(model_of, bundle_of, head, save_nifti, tmp_path):
    """Names and sidecars too; scans of the other contrast are left out."""
    model = model_of()
    for name in ("a/sub-1_T1w.nii.gz", "a/sub-1_T2w.nii.gz", "sub 2 #é_T1w.nii"):
        save_nifti(tmp_path / "scans" / name, head((20, 24, 13), seed=len(name)), np.diag((7.0, 6.0, 9.0, 1.0)))
    run(bundle_of(model), dataset_dir=tmp_path / "scans", output_dir=tmp_path / "out", direction="ab")
    for job in plan(tmp_path / "scans", tmp_path / "expected", model.contrasts, "ab").jobs:
        write_translation(ScanTranslator([model])(job.source, "ab"), job, OutputSettings())
    names = sorted(path.relative_to(tmp_path / "expected") for path in (tmp_path / "expected").rglob("*.*"))
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*")) == names
    assert [name.name for name in names if ".nii" in name.name] == [
        "sub-1_desc-synth_T2w.nii.gz",
        "sub 2 #é_desc-synth_T2w.nii",
    ]
    for name in names:
        ours, theirs = tmp_path / "out" / name, tmp_path / "expected" / name
        if name.suffix == ".json":
            assert json.loads(ours.read_text()) == json.loads(theirs.read_text())
            assert "neighboring voxels differ" in ours.read_text(), "a toy head is unlike anything"
        else:
            np.testing.assert_array_equal(nibabel.load(ours).get_fdata(), nibabel.load(theirs).get_fdata())


def test_a_folder_without_scans_is_told(model_of, bundle_of, tmp_path):
    with pytest.raises(Exception) as error:
        run(bundle_of(model_of()), dataset_dir=tmp_path / "bundle" / "docs", output_dir=tmp_path / "out")
    assert "no scan to translate in it" in str(error.getrepr(chain=True))


def test_slices_know_their_place(model_of, head, save_nifti, tmp_path):
    affine = np.diag((7.0, 6.0, 9.0, 1.0))
    path = save_nifti(tmp_path / "scan.nii.gz", head((20, 24, 13)), affine)
    model = model_of()
    image = PrepareScan(model)({"image": str(path)})["image"]
    prepared = model.preprocessing(read_volume(path))
    np.testing.assert_array_equal(image.affine, np.array(prepared.record["affine"]))
    np.testing.assert_array_equal(image[0], prepared.slices)


def test_a_scan_without_contrast_is_named(model_of, save_nifti, tmp_path):
    path = save_nifti(tmp_path / "flat.nii.gz", np.ones((20, 24, 13), np.float32), np.eye(4) * 9)
    with pytest.raises(ValueError, match=r"flat\.nii\.gz"):
        PrepareScan(model_of())({"image": str(path)})


def test_the_check_sees_another_model(model_of, bundle_of):
    model = model_of()
    bundle = bundle_of(model)
    assert check_bundle(model, bundle) == {"ab": OutputDifference(0), "ba": OutputDifference(0)}
    other = dict(zip(("ab", "ba"), ("ba", "ab")))
    swapped = [bundle / "models" / f"generator_{direction}.safetensors" for direction in other]
    for path in swapped:
        shutil.move(path, path.with_suffix(".old"))
    for direction, path in zip(other, reversed(swapped)):
        shutil.move(bundle / "models" / f"generator_{direction}.old", path)
    description = json.loads((bundle / "models" / "model.json").read_text())
    ab, ba = (description["generators"][direction] for direction in other)
    ab["sha256"], ba["sha256"] = ba["sha256"], ab["sha256"]
    (bundle / "models" / "model.json").write_text(json.dumps(description))
    assert load_model(bundle / "models").hashes["ab"] == model.hashes["ba"]
    assert min(parity.difference for parity in check_bundle(model, bundle).values()) > 1e-3


def test_the_check_sees_what_monai_misses(model_of, bundle_of):
    model = model_of()
    bundle = bundle_of(model)
    path = Path(bundle / "configs" / "inference.json")
    content = json.loads(path.read_text())
    content["prepare"] = content.pop("preprocessing")
    content["dataset"]["transform"] = "@prepare"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="MONAI asks for preprocessing"):
        check_bundle(model, bundle)
