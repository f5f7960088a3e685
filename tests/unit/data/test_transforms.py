import json
import math
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from nibabel import orientations

from mri_cyclegan.data.foreground import foreground_mask
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import Volume

AXCODES = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}
ALL_ORIENTATIONS = [
    "".join(code) for axes in permutations(("LR", "PA", "IS")) for code in product(*axes)
]  # 48: every order of the axes, each either way


def reoriented(volume: Volume, axcodes: str) -> Volume:
    """The same image with its array stored in another order, by nibabel."""
    change = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt(tuple(axcodes))
    )
    affine = volume.affine @ orientations.inv_ornt_aff(change, volume.array.shape)
    return Volume(np.ascontiguousarray(orientations.apply_orientation(volume.array, change)), affine)


def diagonal(*spacing: float) -> np.ndarray:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-17.0, 23.0, 5.0)
    return affine


def oblique(*spacing: float) -> np.ndarray:
    return nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.2, -0.15, 0.1), (3, -8, 21)) @ diagonal(*spacing)


def pixel_mm(record: dict) -> np.ndarray:
    return nibabel.affines.voxel_sizes(np.array(record["affine"]))


# Orientation


@pytest.mark.parametrize("plane", AXCODES)
def test_every_stored_orientation_gives_the_same_slices(head, plane):
    volume = Volume(head((14, 18, 12)), diagonal(1.1, 0.9, 1.6))
    prepare = Preprocessing(plane, 1.3, 24)
    expected = prepare(volume)
    assert (expected.slices > -1).any()
    for axcodes in ALL_ORIENTATIONS:
        prepared = prepare(reoriented(volume, axcodes))
        np.testing.assert_allclose(prepared.slices, expected.slices, atol=1e-4, err_msg=axcodes)
        np.testing.assert_array_equal(prepared.foreground, expected.foreground, err_msg=axcodes)
        np.testing.assert_allclose(prepared.record["affine"], expected.record["affine"], atol=1e-4, err_msg=axcodes)


@pytest.mark.parametrize(
    ("plane", "landmark", "expected"),
    # A landmark at one end of an axis (x to Right, y to Anterior, z to Superior), and where it shows.
    [
        ("axial", ("y", "last"), ("row", "first")),
        ("axial", ("x", "last"), ("column", "first")),
        ("axial", ("z", "last"), ("slice", "last")),
        ("coronal", ("z", "last"), ("row", "first")),
        ("coronal", ("x", "last"), ("column", "first")),
        ("coronal", ("y", "last"), ("slice", "last")),
        ("sagittal", ("z", "last"), ("row", "first")),
        ("sagittal", ("y", "last"), ("column", "first")),
        ("sagittal", ("x", "last"), ("slice", "last")),
    ],
)
def test_pictures_stand_upright(head, plane, landmark, expected):
    array = head((16, 16, 16))
    at_end, middle = slice(13, 16), slice(6, 10)
    array[tuple(at_end if axis == landmark[0] else middle for axis in "xyz")] = 1000.0
    slices = Preprocessing(plane, 1.0, 16)(Volume(array, np.eye(4))).slices
    center = np.argwhere(slices > 0.99).mean(axis=0)
    for name, position in zip(("slice", "row", "column"), center, strict=True):
        ends = {"first": 1.0, "last": 14.0}
        assert position == pytest.approx(ends[expected[1]] if name == expected[0] else 7.5, abs=1.0), name


# Intensity


@pytest.mark.parametrize("plane", AXCODES)
def test_foreground_percentiles_of_the_volume_become_minus_one_and_one(head, plane):
    volume = Volume(head((14, 18, 12)) + 300, diagonal(1, 1, 1))
    prepared = Preprocessing(plane, 1.0, 18)(volume)
    low, high = np.percentile(volume.array[foreground_mask(volume.array)], [0.5, 99.5])
    assert prepared.record["intensity_low"] == pytest.approx(low)
    assert prepared.record["intensity_high"] == pytest.approx(high)
    in_plane = reoriented(volume, AXCODES[plane]).array
    expected = np.clip(2 * (in_plane - low) / (high - low) - 1, -1, 1)
    margins = [(18 - size) // 2 for size in in_plane.shape[1:]]
    window = prepared.slices[(slice(None), *(slice(m, 18 - m) for m in margins))]
    assert prepared.slices.dtype == np.float32
    np.testing.assert_allclose(window, expected, atol=1e-5)


def test_a_dim_slice_stays_dim(head):
    array = head((20, 20, 20))
    array[:, :, 10] *= 0.6
    prepared = Preprocessing("axial", 1.0, 20)(Volume(array, np.eye(4)))
    span = prepared.record["intensity_high"] - prepared.record["intensity_low"]
    inside = slice(7, 13)
    step = prepared.slices[10, inside, inside].mean() - prepared.slices[9, inside, inside].mean()
    expected = 2 / span * (array[inside, inside, 10].mean() - array[inside, inside, 9].mean())
    assert expected < -0.5
    assert step == pytest.approx(expected, abs=0.02)


def test_padding_is_background(head):
    prepared = Preprocessing("axial", 1.0, 40)(Volume(head((16, 20, 12)) + 50, np.eye(4)))
    assert prepared.slices.shape == (12, 40, 40)
    frame = np.ones((40, 40), bool)
    frame[10:30, 12:28] = False
    assert (prepared.slices[:, frame] == -1).all()
    assert not prepared.foreground[:, frame].any()
    assert prepared.foreground[:, ~frame].any()


def test_values_stay_in_range_after_resampling(head):
    prepared = Preprocessing("axial", 0.7, 32)(Volume(head((16, 18, 14)), diagonal(1.2, 0.5, 2)))
    assert prepared.slices.min() == -1
    assert 0.9 < prepared.slices.max() <= 1


def test_blurring_to_a_coarser_grid_draws_no_frame_around_the_field_of_view(head):
    array = np.pad(head((24, 24, 10)), ((8, 8), (8, 8), (0, 0)))
    slices = Preprocessing("axial", 2.0, 32)(Volume(array, np.eye(4))).slices
    frame = np.ones((32, 32), bool)
    frame[9:23, 9:23] = False
    np.testing.assert_allclose(slices[:, frame], -1, atol=1e-3)


def test_blurring_to_a_coarser_grid_does_not_darken_tissue_that_leaves_the_field_of_view():
    array = np.broadcast_to(np.linspace(0, 100, 9, dtype=np.float32), (40, 40, 9))
    slices = Preprocessing("axial", 2.0, 20)(Volume(array, np.eye(4))).slices
    assert slices[-1].min() > 0.9
    np.testing.assert_allclose(slices, np.broadcast_to(slices[:, 10:11, 10:11], slices.shape), atol=1e-4)


def test_fine_detail_does_not_alias_on_a_coarser_grid():
    # A wave of 5 mm is too fine for pixels of 4 mm: sampled as it falls, it would show as one of 20 mm, as strong.
    wave = np.sin(2 * np.pi * np.arange(80) / 5)
    array = np.broadcast_to(100 + 50 * wave[:, None, None], (80, 80, 7)) * np.array([0, 1, 1, 1, 1, 1, 0])
    slices = Preprocessing("axial", 4.0, 20)(Volume(array.astype(np.float32), np.eye(4))).slices
    across = slices[3, 10, 3:-3]
    assert across.max() - across.min() < 0.5


# Grid


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
@pytest.mark.parametrize("source_mm", [(1.0, 1.0, 1.0), (0.8, 1.6, 2.0)])
def test_a_sphere_has_its_diameter_in_pixels(source_mm, spacing_mm):
    shape = [round(64 / size) for size in source_mm]
    position = [(np.arange(count) - (count - 1) / 2) * size for count, size in zip(shape, source_mm, strict=True)]
    x, y, z = np.meshgrid(*position, indexing="ij")
    array = np.where(x**2 + y**2 + z**2 < 20**2, 100 + x, 0).astype(np.float32)
    prepared = Preprocessing("axial", spacing_mm, 64)(Volume(array, diagonal(*source_mm)))
    shown = prepared.slices[shape[2] // 2] > -0.5
    rows, columns = shown.any(axis=1).sum(), shown.any(axis=0).sum()
    assert rows == pytest.approx(40 / spacing_mm, abs=2)
    assert columns == pytest.approx(40 / spacing_mm, abs=2)
    assert shown.sum() == pytest.approx(math.pi * (20 / spacing_mm) ** 2, rel=0.1)
    np.testing.assert_allclose(pixel_mm(prepared.record), [source_mm[2], spacing_mm, spacing_mm], rtol=1e-3)
    assert len(prepared.slices) == shape[2]


def test_without_a_spacing_the_field_of_view_fits(head):
    array = np.pad(head((40, 20, 10)), ((0, 0), (2, 2), (0, 0)))
    prepared = Preprocessing("axial", None, 32)(Volume(array, diagonal(1.6, 1.0, 3.0)))
    # The field of view is 64 mm across and 24 mm deep.
    np.testing.assert_allclose(pixel_mm(prepared.record), [3.0, 2.0, 2.0], rtol=1e-3)
    assert prepared.slices.shape == (10, 32, 32)
    assert prepared.record["foreground_lost"] == pytest.approx(0, abs=1e-6)
    assert prepared.foreground[5].any(axis=0).sum() == pytest.approx(0.7 * 32, abs=2)
    assert prepared.foreground[5].any(axis=1).sum() == pytest.approx(0.8 * 20 / 2, abs=2)


@pytest.mark.parametrize(("plane", "thickness_mm"), [("axial", 2.5), ("coronal", 1.2), ("sagittal", 0.8)])
def test_the_distance_between_slices_stays(head, plane, thickness_mm):
    volume = Volume(head((14, 16, 12)), oblique(0.8, 1.2, 2.5))
    prepared = Preprocessing(plane, 1.0, 32)(volume)
    np.testing.assert_allclose(pixel_mm(prepared.record), [thickness_mm, 1.0, 1.0], rtol=1e-3)
    assert len(prepared.slices) == volume.array.shape[{"sagittal": 0, "coronal": 1, "axial": 2}[plane]]


@pytest.mark.parametrize("plane", AXCODES)
@pytest.mark.parametrize("make_affine", [diagonal, oblique])
@pytest.mark.parametrize("spacing_mm", [1.0, 0.6, 1.7, None])
@pytest.mark.parametrize("image_size", [22, 48])
def test_the_affine_places_slices_in_the_world(head, plane, make_affine, spacing_mm, image_size):
    array = head((26, 30, 22)) / 10
    center = np.array([15, 12, 11])
    array[tuple(slice(index - 1, index + 2) for index in center)] = 100.0
    volume = reoriented(Volume(array, make_affine(1.0, 1.0, 1.0)), "LPI")
    prepared = Preprocessing(plane, spacing_mm, image_size)(volume)
    bright = np.clip(prepared.slices - 0.5, 0, None)
    indices = np.argwhere(bright > 0)
    weights = bright[tuple(indices.T)]
    shown_mm = nibabel.affines.apply_affine(
        np.array(prepared.record["affine"]), np.average(indices, axis=0, weights=weights)
    )
    expected_mm = nibabel.affines.apply_affine(make_affine(1.0, 1.0, 1.0), center)
    np.testing.assert_allclose(shown_mm, expected_mm, atol=0.3)


def test_a_rotated_affine_keeps_its_axes(head):
    volume = Volume(head((14, 16, 12)), oblique(1, 1, 1))
    affine = np.array(Preprocessing("axial", 0.5, 40)(volume).record["affine"])
    # SPL of a volume stored as RAS: the axes in the order z, -y, -x.
    expected = np.stack([volume.affine[:3, 2], -0.5 * volume.affine[:3, 1], -0.5 * volume.affine[:3, 0]], axis=1)
    np.testing.assert_allclose(affine[:3, :3], expected, atol=1e-6)


@pytest.mark.parametrize("plane", AXCODES)
def test_nothing_is_cropped_and_the_window_follows_the_head(head, plane):
    array = np.pad(head((20, 22, 18)), ((3, 31), (2, 36), (40, 5)))
    prepared = Preprocessing(plane, 1.0, 24)(Volume(array, diagonal(1, 1, 1)))
    expected = reoriented(Volume(array, diagonal(1, 1, 1)), AXCODES[plane]).array
    assert prepared.slices.shape == expected.shape
    row, column = prepared.record["window"]
    assert prepared.foreground[:, row : row + 24, column : column + 24].sum() == prepared.foreground.sum() > 0
    assert prepared.record["foreground_lost"] == 0


def test_the_share_of_the_head_that_training_does_not_see_is_recorded(head):
    volume = Volume(head((40, 40, 10)), np.eye(4))
    mask = foreground_mask(volume.array)
    lost = 1 - mask[8:32, 8:32].sum() / mask.sum()
    assert lost > 0.1
    assert Preprocessing("axial", 1.0, 24)(volume).record["foreground_lost"] == pytest.approx(lost, abs=1e-6)
    assert Preprocessing("axial", 1.0, 40)(volume).record["foreground_lost"] == pytest.approx(0, abs=1e-6)


def test_the_foreground_lies_where_the_head_is(head):
    volume = Volume(head((24, 28, 12)), np.eye(4))
    prepared = Preprocessing("axial", 1.0, 32)(volume)
    expected = reoriented(Volume(foreground_mask(volume.array).astype(np.float32), volume.affine), "SPL").array > 0.5
    assert prepared.foreground.dtype == bool
    np.testing.assert_array_equal(prepared.foreground[:, 2:30, 4:28], expected)
    assert prepared.foreground.sum() == expected.sum()


def test_the_record_is_plain_json_and_keeps_the_source(head):
    volume = Volume(head((14, 16, 12)), oblique(1, 1.5, 2))
    record = Preprocessing("coronal", 1.0, 32)(volume).record
    assert json.loads(json.dumps(record)) == record
    assert record["source_shape"] == [14, 16, 12]
    np.testing.assert_array_equal(record["source_affine"], volume.affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_slice_is_prepared(head, axis):
    # The middle sagittal, coronal or axial slice of a head, alone in its file.
    array = np.take(head((21, 21, 21)), [10], axis=axis)
    plane = ("sagittal", "coronal", "axial")[axis]
    prepared = Preprocessing(plane, 1.5, 16)(Volume(array, np.eye(4)))
    assert prepared.slices.shape == (1, 16, 16)
    assert prepared.foreground.mean() > 0.2


def test_the_source_is_left_as_it_was(head):
    array = head((14, 16, 12))
    volume = Volume(array.copy(), oblique(1, 1, 1))
    Preprocessing("axial", 2.0, 16)(volume)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_array_equal(volume.affine, oblique(1, 1, 1))


@pytest.mark.parametrize(
    ("corner", "message"), [(7.0, "all voxels have the same value"), (-1000.0, "nothing but its background")]
)
def test_a_volume_without_contrast_is_refused(corner, message):
    array = np.full((9, 9, 9), 7.0, np.float32)
    array[0, 0, 0] = corner
    with pytest.raises(ValueError, match=message):
        Preprocessing("axial", 1.0, 16)(Volume(array, np.eye(4)))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("transverse", 1.0, 64), "data.plane"),
        (("axial", 0.0, 64), "data.spacing_mm"),
        (("axial", -1.0, 64), "data.spacing_mm"),
        (("axial", float("nan"), 64), "data.spacing_mm"),
        (("axial", 1.0, 4), "data.image_size"),
    ],
)
def test_bad_settings_are_refused_by_their_key(arguments, key):
    with pytest.raises(ValueError, match=f"^{key}: expected"):
        Preprocessing(*arguments)
