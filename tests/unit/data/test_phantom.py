import csv
import json
import math
import re
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from mri_cyclegan.data import phantom as phantom_module
from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.pairs import find_pairs
from mri_cyclegan.data.phantom import SEQUENCES, TISSUES, Phantom, PhantomSubject, spin_echo_signal
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.splits.split import split_subjects
from tests.unit.data.splits.split_cases import settings

TINY = Phantom(
    num_train=3, num_val=1, num_test=1, spacing_mm=8.0, lesion_share=1.0, noise=0.02, bias_strength=0.1, seed=0
)
CLEAN = replace(TINY, spacing_mm=2.0, lesion_share=0.0, noise=0.003, bias_strength=0.0)


@pytest.fixture(scope="module")
def clean() -> PhantomSubject:
    """A healthy subject with next to no noise under a flat field."""
    return CLEAN.subject(0)


@pytest.fixture(scope="module")
def with_lesions() -> PhantomSubject:
    """The same subject with lesions."""
    return replace(CLEAN, lesion_share=1.0).subject(0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return TINY.write(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    return replace(TINY, paired_training=True).write(tmp_path_factory.mktemp("paired"))


def share(subject: PhantomSubject, tissue: str) -> np.ndarray:
    return subject.tissues[TISSUES.index(tissue)]


def mean_of(subject: PhantomSubject, contrast: str, tissue: str) -> float:
    voxels = subject.images[contrast][share(subject, tissue) > 0.95]
    assert len(voxels) > 200
    return float(voxels.mean())


# Physics


def test_the_signal_is_the_spin_echo_equation():
    assert spin_echo_signal(0.8, 1000, 100, tr_ms=1e9, te_ms=0) == pytest.approx(0.8)
    assert spin_echo_signal(1.0, 1000, 100, tr_ms=1e9, te_ms=100) == pytest.approx(math.exp(-1))
    assert spin_echo_signal(1.0, 1000, 100, tr_ms=1000 * math.log(2), te_ms=0) == pytest.approx(0.5)
    assert spin_echo_signal(1.0, 1000, 100, tr_ms=0, te_ms=20) == 0


def test_tissues_have_the_contrast_of_t1w_and_t2w(clean):
    t1w, t2w = ({tissue: mean_of(clean, name, tissue) for tissue in ("gm", "wm", "csf")} for name in ("T1w", "T2w"))
    assert t1w["csf"] < t1w["gm"] < t1w["wm"]
    assert t2w["wm"] < t2w["gm"] < t2w["csf"]


@pytest.mark.parametrize("contrast", ["T1w", "T2w"])
@pytest.mark.parametrize(("tissue", "other"), [("gm", "wm"), ("csf", "wm")])
def test_signals_relate_as_the_equation_says(clean, contrast, tissue, other):
    constants = (phantom_module.PROTON_DENSITY, phantom_module.T1_MS, phantom_module.T2_MS)
    expected = [
        spin_echo_signal(*(values[name] for values in constants), **SEQUENCES[contrast]) for name in (tissue, other)
    ]
    # Constants vary by 3 % between subjects, and a voxel may hold 5 % of another tissue.
    measured = mean_of(clean, contrast, tissue) / mean_of(clean, contrast, other)
    assert measured == pytest.approx(expected[0] / expected[1], rel=0.2)


@pytest.mark.parametrize("contrast", ["T1w", "T2w"])
def test_noise_in_air_is_that_of_a_magnitude_image(contrast):
    subject = replace(CLEAN, noise=0.03).subject(1)
    air = subject.images[contrast][share(subject, "background") > 1 - 1e-6].astype(float)
    assert len(air) > 5000
    # Rayleigh: mean σ·sqrt(π/2), standard deviation σ·sqrt(2 − π/2).
    assert air.mean() / air.std() == pytest.approx(math.sqrt(math.pi / 2) / math.sqrt(2 - math.pi / 2), rel=0.03)
    # σ is a share of the brightest tissue's signal.
    brightest = mean_of(subject, contrast, {"T1w": "wm", "T2w": "csf"}[contrast])
    assert air.mean() / brightest == pytest.approx(0.03 * math.sqrt(math.pi / 2), rel=0.05)


def test_the_bias_field_is_as_strong_as_asked():
    def unevenness(strength: float) -> float:
        subject = replace(CLEAN, spacing_mm=4.0, bias_strength=strength).subject(0)
        white = subject.images["T1w"][share(subject, "wm") > 0.95]
        return float(white.std() / white.mean())

    flat, weak, strong = (unevenness(strength) for strength in (0.0, 0.05, 0.3))
    assert flat < 0.03
    assert flat + 0.01 < weak < strong
    assert strong > 0.08


def test_tissue_shares_of_a_voxel_sum_to_one(clean, with_lesions):
    for subject in (clean, with_lesions):
        assert subject.tissues.min() >= 0
        np.testing.assert_allclose(subject.tissues.sum(axis=0), 1, atol=1e-5)


def test_images_are_stored_as_integers_without_saturation(clean):
    for image in clean.images.values():
        assert image.dtype == np.uint16
        assert 500 < image.max() < 20000


# Individuals


def test_equal_settings_give_equal_voxels():
    first, again = TINY.subject(2), replace(TINY, num_train=9, num_val=5).subject(2)
    for contrast in SEQUENCES:
        np.testing.assert_array_equal(first.images[contrast], again.images[contrast])
    np.testing.assert_array_equal(first.tissues, again.tissues)
    np.testing.assert_array_equal(first.lesion_mask, again.lesion_mask)


@pytest.mark.parametrize(("seed", "index"), [(0, 1), (1, 0)])
def test_subjects_and_seeds_differ_in_anatomy(seed, index):
    clean = replace(TINY, lesion_share=0.0)
    one, other = clean.subject(0), replace(clean, seed=seed).subject(index)
    labels = one.tissues.argmax(axis=0), other.tissues.argmax(axis=0)
    brain = (labels[0] > 0) | (labels[1] > 0)
    differing = (labels[0] != labels[1])[brain].mean()
    # Different people, but each still a brain of the atlas' shape.
    assert 0.1 < differing < 0.6
    assert abs(int((labels[0] > 0).sum()) / int((labels[1] > 0).sum()) - 1) < 0.3


def test_noise_of_the_two_contrasts_is_independent():
    subject = replace(TINY, lesion_share=0.0, noise=0.05).subject(0)
    air = share(subject, "background") > 1 - 1e-6
    noise = [subject.images[contrast][air].astype(float) for contrast in SEQUENCES]
    assert abs(np.corrcoef(noise)[0, 1]) < 4 / math.sqrt(air.sum())


# Lesions


def test_lesions_lie_in_white_matter(clean, with_lesions):
    mask = with_lesions.lesion_mask.astype(bool)
    labels, num_lesions = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    assert num_lesions >= 1
    assert all((share(clean, "wm")[labels == number] > 0.9).any() for number in range(1, num_lesions + 1))
    assert share(clean, "wm")[mask].mean() > 0.6
    for tissue in ("background", "csf"):
        assert share(clean, tissue)[mask].max() <= 0.5
    # Away from lesions the anatomy is the same person's.
    away = ~ndimage.binary_dilation(share(with_lesions, "lesion") > 1e-3, iterations=2)
    np.testing.assert_allclose(with_lesions.tissues[:, away], clean.tissues[:, away], atol=2e-3)


def test_lesions_leave_fluid_and_air_as_they_are():
    for index in range(4):
        settings = replace(CLEAN, spacing_mm=5.0, lesion_share=1.0, seed=3)
        lesion = share(settings.subject(index), "lesion")
        healthy = replace(settings, lesion_share=0.0).subject(index)
        assert lesion.max() > 0.5
        for tissue in ("background", "csf"):
            assert (lesion <= 1 - share(healthy, tissue) + 1e-5).all()


def test_the_lesion_mask_is_where_a_lesion_fills_half_of_the_voxel(with_lesions):
    assert with_lesions.lesion_mask.dtype == np.uint8
    np.testing.assert_array_equal(with_lesions.lesion_mask == 1, share(with_lesions, "lesion") >= 0.5)
    assert with_lesions.lesion_mask.sum() > 50


def test_lesions_are_bright_in_t2w_and_dark_in_t1w_against_white_matter(with_lesions):
    lesion = share(with_lesions, "lesion") > 0.9
    white = share(with_lesions, "wm") > 0.95
    assert lesion.sum() > 20
    t1w, t2w = (
        with_lesions.images[name][lesion].mean() / with_lesions.images[name][white].mean() for name in SEQUENCES
    )
    assert t2w > 1.5
    assert t1w < 0.9


@pytest.mark.parametrize(("lesion_share", "low", "high"), [(0.0, 0, 0), (0.5, 1, 7), (1.0, 8, 8)])
def test_lesion_share_is_the_share_of_subjects_with_lesions(lesion_share, low, high):
    settings = replace(TINY, lesion_share=lesion_share)
    num_with = sum(bool((share(settings.subject(index), "lesion") > 0.1).any()) for index in range(8))
    assert low <= num_with <= high


# On disk


def test_training_subjects_have_one_contrast_and_the_others_both_and_a_mask(written):
    files = sorted(path.relative_to(written).as_posix() for path in written.rglob("*.nii.gz"))
    assert files == [
        "derivatives/lesions/sub-004/anat/sub-004_label-lesion_mask.nii.gz",
        "derivatives/lesions/sub-005/anat/sub-005_label-lesion_mask.nii.gz",
        "derivatives/tissues/sub-004/anat/sub-004_dseg.nii.gz",
        "derivatives/tissues/sub-005/anat/sub-005_dseg.nii.gz",
        "sub-001/anat/sub-001_T1w.nii.gz",
        "sub-002/anat/sub-002_T2w.nii.gz",
        "sub-003/anat/sub-003_T1w.nii.gz",
        "sub-004/anat/sub-004_T1w.nii.gz",
        "sub-004/anat/sub-004_T2w.nii.gz",
        "sub-005/anat/sub-005_T1w.nii.gz",
        "sub-005/anat/sub-005_T2w.nii.gz",
    ]


def test_tissue_labels_name_the_commonest_tissue_of_each_voxel(written):
    labels = np.asarray(nibabel.load(written / "derivatives/tissues/sub-004/anat/sub-004_dseg.nii.gz").dataobj)
    np.testing.assert_array_equal(labels, TINY.subject(3).tissues.argmax(axis=0))
    with (written / "derivatives" / "tissues" / "dseg.tsv").open(newline="") as lines:
        names = {int(row["index"]): row["name"] for row in csv.DictReader(lines, delimiter="\t")}
    assert names == dict(enumerate(TISSUES))


def test_the_table_of_participants_tells_who_is_where(written):
    with (written / "participants.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [(row["participant_id"], row["split"], row["contrasts"]) for row in rows] == [
        ("sub-001", "train", "T1w"),
        ("sub-002", "train", "T2w"),
        ("sub-003", "train", "T1w"),
        ("sub-004", "val", "T1w+T2w"),
        ("sub-005", "test", "T1w+T2w"),
    ]
    for row in rows[3:]:
        name = row["participant_id"]
        mask = nibabel.load(written / f"derivatives/lesions/{name}/anat/{name}_label-lesion_mask.nii.gz").get_fdata()
        assert int(row["num_lesion_voxels"]) == mask.sum()


def test_the_files_hold_the_subjects_voxels_on_the_atlas_grid(written):
    subject = TINY.subject(4)
    for contrast in SEQUENCES:
        volume = read_volume(written / f"sub-005/anat/sub-005_{contrast}.nii.gz")
        np.testing.assert_array_equal(volume.array, subject.images[contrast])
        assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")
        assert volume.spacing_mm == pytest.approx((8, 8, 8))
        # In MNI space the head is centered a little behind and above the origin.
        inside = np.argwhere(subject.tissues[0] < 0.5)
        center_mm = nibabel.affines.apply_affine(volume.affine, inside.mean(axis=0))
        np.testing.assert_allclose(center_mm, (0, -20, 8), atol=12)


def test_the_data_set_is_read_as_any_bids_data_set(written):
    scans = find_scans(written, LayoutSettings("bids", ("T1w", "T2w"))).scans
    assert len(scans) == 7
    pairs = find_pairs(scans, ("T1w", "T2w"), lambda scan: read_shape(scan.path))
    assert [(pair.a.subject, pair.difference) for pair in pairs] == [("sub-004", ""), ("sub-005", "")]
    split = split_subjects(
        scans, ("T1w", "T2w"), settings(split_column="split"), written / "participants.tsv", {"sub-004"}
    )
    assert (len(split.train_a), len(split.train_b), len(split.val), len(split.test)) == (2, 1, 2, 2)


def test_the_folders_name_depends_on_every_setting(tmp_path):
    changes = {"num_train": 4, "num_val": 2, "num_test": 2, "spacing_mm": 4.0, "lesion_share": 0.5}
    changes |= {"noise": 0.03, "bias_strength": 0.2, "seed": 1, "paired_training": True}
    assert set(changes) == set(TINY.__dataclass_fields__)
    folders = {
        TINY.folder(tmp_path),
        *(replace(TINY, **{name: value}).folder(tmp_path) for name, value in changes.items()),
    }
    assert len(folders) == 1 + len(changes)
    assert TINY.folder(tmp_path) == replace(TINY).folder(tmp_path)
    assert all(folder.parent == tmp_path for folder in folders)


def test_folders_keep_their_names(tmp_path):
    """What ``folder("").name`` was when version 4 came; users have folders of these names."""
    two_mm = replace(TINY, num_train=20, num_val=4, num_test=6, spacing_mm=2.0, lesion_share=0.5)
    two_mm = replace(two_mm, noise=0.015, bias_strength=0.12)  # data=phantom
    assert phantom_module.VERSION == 4
    assert TINY.folder(tmp_path).name == "phantom-852cd4fa19b8"
    assert two_mm.folder(tmp_path).name == "phantom-fb9a3d18f713"
    assert replace(two_mm, num_train=40, spacing_mm=1.0).folder(tmp_path).name == "phantom-389acaf39561"


def test_the_description_tells_paired_training_where_it_is_set(written, paired):
    generated = [json.loads((folder / "dataset_description.json").read_text()) for folder in (written, paired)]
    settings = [content["GeneratedBy"][0]["Settings"] for content in generated]
    assert settings[1] == settings[0] | {"paired_training": True}
    assert "paired_training" not in settings[0]


def test_with_paired_training_training_subjects_have_both_contrasts(written, paired):
    files, without = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*.nii.gz")} for folder in (paired, written)
    )
    assert files - without == {
        "sub-001/anat/sub-001_T2w.nii.gz",
        "sub-002/anat/sub-002_T1w.nii.gz",
        "sub-003/anat/sub-003_T2w.nii.gz",
    }
    assert without < files
    for index in range(3):
        for contrast, image in TINY.subject(index).images.items():
            name = f"sub-{index + 1:03d}"
            volume = read_volume(paired / f"{name}/anat/{name}_{contrast}.nii.gz")
            np.testing.assert_array_equal(volume.array, image)
    with (paired / "participants.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [(row["split"], row["contrasts"]) for row in rows[:4]] == [("train", "T1w+T2w")] * 3 + [("val", "T1w+T2w")]


def test_a_data_set_that_is_there_is_not_written_again(written, monkeypatch):
    def refuse(*_):
        raise AssertionError("written again")

    monkeypatch.setattr(phantom_module, "write_volume", refuse)
    assert TINY.write(written.parent) == written


def test_what_a_killed_process_left_of_one_is_removed(tmp_path):
    (tmp_path / ".partial-killed" / "sub-001").mkdir(parents=True)
    folder = TINY.write(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch, error):
    num_written = 0

    def interrupted(*arguments):
        nonlocal num_written
        num_written += 1
        if num_written == 3:
            raise error
        write_volume(*arguments)

    monkeypatch.setattr(phantom_module, "write_volume", interrupted)
    with pytest.raises(type(error)):
        TINY.write(tmp_path / "root")
    assert num_written == 3
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_train", 1), ("spacing_mm", 0.1), ("spacing_mm", 20.0), ("lesion_share", -0.1), ("lesion_share", 1.1)],
)
def test_bad_settings_are_refused_by_their_key(name, value):
    with pytest.raises(ValueError, match=re.escape(f"data.phantom.{name}: expected")):
        replace(TINY, **{name: value})
