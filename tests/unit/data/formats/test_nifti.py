"""NIfTI headers by the letter of the standard, where nibabel's reading of them does not help."""

import struct

import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume

AFFINE = np.array([[-0.9, 0.4, 0, 80], [0.1, 1.1, 0.2, -120], [0, -0.2, 2.5, -70], [0, 0, 0, 1.0]])
ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def save(path, image, *patches):
    """Write an image, and overwrite fields of its header: (offset, form, *values)."""
    content = bytearray(image.to_bytes())
    for offset, form, *values in patches:
        struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_nifti_2_is_read(tmp_path, name, endianness):
    image = nibabel.Nifti2Image(ARRAY, AFFINE, nibabel.Nifti2Header(endianness=endianness), dtype=np.int16)
    nibabel.save(image, tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("magic", [b"n+1\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n", b"n+2\0\n\n\x1a\n", b"n+2\0\0\0\0\0"])
def test_nifti_2_with_another_magic_is_refused(tmp_path, magic):
    path = save(tmp_path / "scan.nii", nibabel.Nifti2Image(ARRAY, AFFINE), (4, "<8s", magic))
    with pytest.raises(UnfitFile, match="bad magic"):
        read_volume(path)
