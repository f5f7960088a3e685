from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from example_model.models import APPEARANCE, SCANS, make_model
from nibabel import orientations

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.inference import scan_translator
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.scan_translator import ScanTranslator
from mri_cyclegan.inference.synthetic_image import synthetic_image

IDENTITY = {"ab": torch.nn.Identity(), "ba": torch.nn.Identity()}


@pytest.fixture
def model(tmp_path):
    """Makes models whose networks change nothing."""

    def make(networks=IDENTITY, name="model", **preprocessing):
        make_model(tmp_path / name, **({"image_size": 48} | preprocessing))
        return replace(load_model(tmp_path / name), networks=networks)

    return make


def stored_as(array, affine, axcodes):
    change = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(tuple(axcodes)))
    stored = orientations.apply_orientation(array, change)
    return np.ascontiguousarray(stored), affine @ orientations.inv_ornt_aff(change, array.shape)


def through_files(model, array, affine, folder):
    """What comes out of a file that went through a model and into another file."""
    source = folder / "sub-01_T1w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, affine), source)
    nibabel.save(synthetic_image(ScanTranslator([model])(source)), folder / "out.nii.gz")
    return nibabel.load(source), nibabel.load(folder / "out.nii.gz"), scale_intensities(read_volume(source))


@pytest.mark.parametrize("axcodes", ["RAS", "LAS", "LPI", "PSR"])
@pytest.mark.parametrize("shape", [(17, 20, 15), (31, 33, 1), (40, 8, 9)])
def test_without_resampling_an_identity_gives_the_scan_itself(model, head, tmp_path, axcodes, shape):
    affine = nibabel.affines.from_matvec(np.eye(3), (1234.5, -987.25, 456.0))
    array, affine = stored_as(head(shape), affine, axcodes)
    source, output, scaled = through_files(model(), array, affine, tmp_path)
    assert output.shape == source.shape
    np.testing.assert_allclose(output.affine, source.affine, atol=1e-6)
    np.testing.assert_array_equal(output.get_fdata(dtype=np.float32), ((2 * scaled.array - 1) + 1) / 2)


@pytest.mark.parametrize("axcodes", ["RAS", "LAS", "LPI", "PSR"])
@pytest.mark.parametrize(
    ("angles", "spacing", "offset"),
    [
        ((0, 0, 0), (0.7, 0.8, 4.0), (0, 0, 0)),
        ((0.2, -0.15, 0.1), (0.9, 1.1, 3.0), (3, -8, 21)),
        ((0.4, 0.3, -0.35), (1.2, 0.8, 2.0), (90000.0, -12000.0, 7000.0)),
    ],
    ids=["anisotropic", "oblique", "oblique, far from the origin"],
)
def test_with_resampling_only_interpolation_is_lost(model, tmp_path, axcodes, angles, spacing, offset):
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in (33, 37, 11)], indexing="ij")
    smooth = (np.exp(-3 * sum(axis**2 for axis in axes)) * 100).astype(np.float32)
    affine = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(*angles) @ np.diag(spacing), offset)
    array, affine = stored_as(smooth, affine, axcodes)
    source, output, scaled = through_files(model(), array, affine, tmp_path)
    assert output.shape == source.shape
    np.testing.assert_array_equal(output.affine, source.affine)
    found = output.get_fdata(dtype=np.float32)
    np.testing.assert_allclose(found, scaled.array, atol=0.04)
    assert np.abs(found - scaled.array)[scaled.foreground].mean() < 0.005


def test_the_direction_is_that_of_the_name_or_as_asked(model, head, save_nifti, tmp_path):
    marks = {"ab": lambda x: torch.full_like(x, 0.5), "ba": lambda x: torch.full_like(x, -0.5)}
    translator = ScanTranslator([model(marks)])
    t1w = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 9)))
    t2w = save_nifti(tmp_path / "a_T2w.nii.gz", head((20, 22, 9)))
    plain = save_nifti(tmp_path / "plain.nii.gz", head((20, 22, 9)))
    assert translator(t1w).array.max() == 0.75
    assert translator(t2w).array.max() == 0.25
    assert translator(t2w, "ab").array.max() == 0.75
    assert translator(t2w).contrasts == ("T2w", "T1w")
    with pytest.raises(ValueError, match="Give the direction"):
        translator(plain)
    with pytest.raises(ValueError, match="expected ab or ba, got 'aa'"):
        translator(plain, "aa")


def test_several_models_of_several_planes_are_averaged_with_a_spread(model, head, save_nifti, tmp_path):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 18)))
    gains = {"axial": 0.2, "coronal": 0.6, "sagittal": 1.0}
    models = [
        model({"ab": lambda x, gain=gain: gain * (x + 1) - 1}, name=plane, plane=plane) for plane, gain in gains.items()
    ]
    translation = ScanTranslator(models)(path)
    scaled = scale_intensities(read_volume(path))
    np.testing.assert_allclose(translation.array, 0.6 * scaled.array, atol=1e-6)
    np.testing.assert_allclose(translation.std, 0.4 * scaled.array, atol=1e-6)
    assert ScanTranslator(models[:1])(path).std is None
    other = replace(models[1], description=models[1].description.model_copy(deep=True))
    object.__setattr__(other.description.contrasts, "b", "PD")
    with pytest.raises(ValueError, match=r"coronal: translates T1w and PD, but .*axial T1w and T2w"):
        ScanTranslator([models[0], other])


def test_uncertainty_is_the_spread_over_views(model, head, save_nifti, tmp_path):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 9)))
    ramp = torch.linspace(-0.8, 0.8, 48).expand(48, 48)
    translation = ScanTranslator([model({"ab": lambda x: ramp.expand_as(x)})], uncertainty=True)(path)
    assert translation.std is not None
    assert translation.std[10, 11, 4] > 0.01
    assert ScanTranslator([model()], uncertainty=True)(path).std.max() < 1e-6


def test_a_scan_unlike_those_trained_on_is_told(tmp_path, head, save_nifti):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 9)))
    seen = ScanTranslator([_trained_on(tmp_path, "other", SCANS)])(path).unlike_training
    assert any(clause.startswith("head of 1 ml (training 1000 to 1500)") for clause in seen)
    wide = {"foreground_ml": [0, 9], "mean": [0, 1], "sd": [0, 1], "roughness": [0, 1]}
    looks = APPEARANCE | {"ranges": wide, "histogram_distance": 1.0}
    assert ScanTranslator([_trained_on(tmp_path, "same", SCANS | {"appearance": looks})])(path).unlike_training == ()


def _trained_on(folder, name, scans):
    make_model(folder / name, description={"training": _training(scans)}, image_size=32)
    return load_model(folder / name)


def _training(scans):
    from example_model.models import DESCRIPTION

    return DESCRIPTION["training"] | {"a": scans}


def test_progress_ends_at_the_whole(model, head, save_nifti, tmp_path):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 11)))
    for uncertainty in (False, True):
        shares = []
        ScanTranslator([model()], uncertainty=uncertainty)(path, on_progress=shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1.0)
        assert len(shares) == 3 * (5 if uncertainty else 1)


def test_more_slices_than_fit_into_memory_are_refused_by_the_header(model, head, save_nifti, tmp_path, monkeypatch):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 11)))
    coarse = save_nifti(tmp_path / "b_T1w.nii.gz", head((20, 22, 11)), np.diag([5, 5, 5, 1.0]))
    monkeypatch.setattr(scan_translator, "read_scaled", None)
    with pytest.raises(UnfitFile, match=r"b_T1w\.nii\.gz: its slices would take 1,210,000,000 pixels"):
        ScanTranslator([model(spacing_mm=0.01)])(coarse)  # 10,000 × 11,000 pixels, before they are cropped to 48 × 48
    monkeypatch.setattr(scan_translator, "MAX_PIXELS", 11 * 48 * 48 - 1)
    with pytest.raises(UnfitFile, match=r"its slices would take 25,344 pixels; at most 25,343 are made"):
        ScanTranslator([model()])(path)


def test_what_shows_nothing_or_is_broken_is_refused_by_name(model, save_nifti, tmp_path):
    empty = save_nifti(tmp_path / "e_T1w.nii.gz", np.full((9, 9, 9), 7, np.float32))
    with pytest.raises(UnfitFile, match=r"e_T1w\.nii\.gz: all voxels have the same value\. It shows nothing"):
        ScanTranslator([model()])(empty)
    broken = tmp_path / "b_T1w.nii.gz"
    broken.write_bytes(empty.read_bytes()[:-9])
    with pytest.raises(UnfitFile, match=r"b_T1w\.nii\.gz: .*truncated"):
        ScanTranslator([model()])(broken)


def test_the_python_interface_gives_a_nibabel_image(model, head, save_nifti, tmp_path):
    path = save_nifti(tmp_path / "a_T1w.nii.gz", head((20, 22, 9)), np.diag([1, 1, 3, 1.0]))
    image = model().translate(path)
    assert isinstance(image, nibabel.Nifti1Image)
    np.testing.assert_array_equal(image.affine, np.diag([1, 1, 3, 1.0]))
    assert image.get_fdata().max() == 1
    assert model().translate(path, value_range="reference").get_fdata().max() == pytest.approx(1030, rel=1e-5)
