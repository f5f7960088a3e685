from pathlib import Path

import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.integrity import find_duplicates, find_mixed_formats, voxel_hash
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.volume import Volume


@pytest.fixture
def volume():
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    return Volume(array, np.diag([1.0, 2.0, 3.0, 1.0]))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR", "IAL"])
def test_a_copy_stored_in_another_orientation_has_the_same_hash(volume, codes):
    image = nibabel.Nifti1Image(volume.array, volume.affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(volume.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    assert voxel_hash(Volume(np.asarray(turned.dataobj), turned.affine)) == voxel_hash(volume)


def test_one_other_voxel_or_another_shape_changes_the_hash(volume):
    changed = volume.array.copy()
    changed[0, 0, 0] += 1e-6
    reshaped = volume.array.reshape(4, 3, 5)
    assert len({voxel_hash(Volume(array, volume.affine)) for array in (volume.array, changed, reshaped)}) == 3


def test_every_copy_is_named_beside_the_first():
    scans = [Scan(f"sub-{number}", "", "T1w", Path(f"/data/{number}.nii")) for number in range(5)]
    findings = find_duplicates(dict(zip(scans[::-1], "abcba", strict=True)))
    assert [(finding.severity, finding.path.name) for finding in findings] == [("error", "3.nii"), ("error", "4.nii")]
    assert findings[0].problem == "the same voxels as /data/1.nii"
    assert findings[0].remedy == "Remove one of the two."
    assert findings[1].problem == "the same voxels as /data/0.nii"


def test_different_scans_are_no_duplicates():
    scans = [Scan("sub-1", "", contrast, Path(contrast)) for contrast in ("T1w", "T2w")]
    assert find_duplicates(dict(zip(scans, "ab", strict=True))) == []


def test_several_formats_are_told_and_one_is_not():
    def scans(*names):
        return [Scan(name, "", "T1w", Path(name)) for name in names]

    assert find_mixed_formats(Path("set"), scans("a.nii", "b.nii.gz")) == []
    (warning,) = find_mixed_formats(Path("set"), scans("a.nii", "b.nii.gz", "c.mgz", "d.img"))
    assert warning.severity == "warning"
    assert "2 in .nii, .nii.gz; 1 in .mgh, .mgz; 1 in .img, .img.gz" in warning.problem
