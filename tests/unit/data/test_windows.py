import numpy as np
import pytest
from monai.transforms import CenterSpatialCrop

from mri_cyclegan.data.windows import cropped_affine, head_crop


def field(height, width, rows, columns):
    """A head that fills a box of the middle one of three slices."""
    foreground = np.zeros((3, height, width), bool)
    foreground[1, slice(*rows), slice(*columns)] = True
    return foreground


@pytest.mark.parametrize("height", [16, 17, 20, 23])
@pytest.mark.parametrize("size", [15, 16])
def test_a_head_that_a_centered_square_holds_is_seen_as_by_a_centered_crop(height, size):
    foreground = field(height, 16, (5, 12), (3, 14))
    (row, column), lost = head_crop(foreground, size)
    numbered = np.arange(foreground.size).reshape(foreground.shape)
    expected = CenterSpatialCrop([-1, size, size])(numbered[:, None])[:, 0]
    np.testing.assert_array_equal(numbered[:, row : row + size, column : column + size], expected)
    assert lost == 0


@pytest.mark.parametrize(
    ("rows", "first_row", "lost"),
    [
        ((0, 9), 0, 0),  # at one end of the field of view
        ((31, 40), 24, 0),  # at the other
        ((10, 20), 10, 0),  # two rows beyond a centered square: no further than that
        ((8, 32), 12, 8 / 24),  # larger than the square on both sides
        ((0, 20), 4, 4 / 20),  # larger, and at one end: it shows nothing but head
    ],
)
def test_the_square_moves_as_far_as_the_head_needs(rows, first_row, lost):
    foreground = field(40, 20, rows, (8, 12))
    for turned in (False, True):
        window, share = head_crop(foreground.swapaxes(1, 2) if turned else foreground, 16)
        assert window == ((2, first_row) if turned else (first_row, 2))
        assert share == pytest.approx(lost)


def test_without_a_head_the_square_is_centered():
    assert head_crop(np.zeros((2, 20, 9), bool), 8) == ((6, 0), 1.0)


def test_an_affine_moves_with_the_rows_and_columns_left_out():
    affine = np.array([[0, 0, -2, 5], [0, -3, 0, 7], [4, 0, 0, 9], [0, 0, 0, 1.0]])
    moved = cropped_affine(affine, 3, -1)
    np.testing.assert_array_equal(moved @ [2, 1, 5, 1], affine @ [2, 4, 4, 1])
