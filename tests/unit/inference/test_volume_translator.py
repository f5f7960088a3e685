from itertools import product

import nibabel
import numpy as np
import pytest
import torch
from nibabel import orientations
from scipy import ndimage

from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.inference.resampling import to_scan_grid
from mri_cyclegan.inference.volume_translator import TEST_TIME_VIEWS, View, VolumeTranslator, translate_with_std


def center(stack):
    return stack[:, stack.shape[1] // 2 : stack.shape[1] // 2 + 1]


IDENTITY = {"ab": center, "ba": center}


def stored_as(array, affine, axcodes):
    change = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(tuple(axcodes)))
    stored = orientations.apply_orientation(array, change)
    return Volume(np.ascontiguousarray(stored), affine @ orientations.inv_ornt_aff(change, array.shape))


def oblique(spacing):
    rotation = nibabel.eulerangles.euler2mat(0.2, -0.15, 0.1)
    return nibabel.affines.from_matvec(rotation @ np.diag(spacing), (3, -8, 21))


def round_trip(volume, spacing_mm, image_size, plane="axial"):
    scaled = scale_intensities(volume)
    translator = VolumeTranslator(IDENTITY, Preprocessing(plane, spacing_mm, image_size))
    return translator(scaled, "ab"), scaled


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("axcodes", ["RAS", "LAS", "LPI", "PSR"])
def test_without_resampling_an_identity_gives_the_volume_itself(head, plane, axcodes):
    volume = stored_as(head((17, 20, 15)), np.diag([1.0, 1.0, 1.0, 1.0]), axcodes)
    output, scaled = round_trip(volume, 1.0, 24, plane)
    np.testing.assert_array_equal(output, ((2 * scaled.array - 1) + 1) / 2)


@pytest.mark.parametrize(
    "affine",
    [
        oblique((1.0, 1.0, 1.0)),
        oblique((0.9, 1.1, 3.0)),
        nibabel.affines.from_matvec(np.diag((1.2, 0.8, 2.0)), (900.0, -1200.0, 700.0)),
    ],
    ids=["oblique", "oblique anisotropic", "far from the origin"],
)
def test_resampling_there_and_back_costs_only_interpolation(affine):
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in (33, 37, 12)], indexing="ij")
    smooth = np.exp(-3 * sum(axis**2 for axis in axes)) * 100
    output, scaled = round_trip(Volume(smooth.astype(np.float32), affine), 1.0, 64)
    assert output.shape == scaled.array.shape
    np.testing.assert_allclose(output, scaled.array, atol=0.03)
    assert np.abs(output - scaled.array)[scaled.foreground].mean() < 0.005


def test_one_slice(head):
    array = head((20, 24, 9))[:, :, 4:5]
    output, scaled = round_trip(Volume(array, np.diag([1.0, 1.0, 5.0, 1.0])), 1.0, 32)
    np.testing.assert_allclose(output, scaled.array, atol=1e-6)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("tiled", [False, True], ids=["whole", "in tiles"])
def test_a_head_comes_out_whole_wherever_it_lies(head, plane, tiled):
    """80 mm off the middle in any direction, in slices twice and a half as wide as those of training."""
    size, moves = (20, 22, 18), [move for move in product((-16, 0, 16), repeat=3) if any(move)]
    affine = np.diag([5.0, 5.0, 5.0, 1.0])

    def translated(move):
        array = np.zeros([side + 32 for side in size], np.float32)
        array[tuple(slice(16 + step, 16 + step + side) for step, side in zip(move, size))] = head(size)
        network = lambda stack: (0.5 * stack + 0.2).clamp(-1, 1)  # noqa: E731
        network.depends_on_size = tiled
        scaled = scale_intensities(Volume(array, affine))
        return VolumeTranslator({"ab": network}, Preprocessing(plane, 5.0, 24))(scaled, "ab"), scaled.foreground

    centered, foreground = translated((0, 0, 0))
    for move in moves[:: 1 if plane == "axial" and not tiled else 5]:
        output, moved_foreground = translated(move)
        np.testing.assert_array_equal(moved_foreground, np.roll(foreground, move, (0, 1, 2)))
        np.testing.assert_allclose(output, np.roll(centered, move, (0, 1, 2)), atol=1e-6)
        assert output[moved_foreground].min() > 0.09


def test_the_edge_of_the_field_of_view_is_no_darker():
    """Pixels of 4 mm do not end where voxels of 1 mm do."""
    array = np.broadcast_to(np.linspace(20, 100, 12, dtype=np.float32), (42, 45, 12)).copy()
    output, scaled = round_trip(Volume(array, np.eye(4)), 4.0, 8)
    np.testing.assert_allclose(output, scaled.array, atol=1e-5)


def test_slices_come_back_by_their_affines():
    """An independent check: the value of a voxel is that of the slice pixel at the same place in space."""
    record = {
        "affine": np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]].tolist(),
        "source_affine": np.diag([1.0, 1.0, 1.0, 1.0]).tolist(),
        "source_shape": [5, 7, 3],
    }
    slices = np.random.default_rng(0).random((2, 4, 3)).astype(np.float32)
    volume = to_scan_grid(slices, record)
    assert volume[2, 4, 0] == slices[0, 2, 1]
    assert volume[4, 6, 2] == slices[1, 3, 2]
    assert volume[1, 0, 0] == pytest.approx((slices[0, 0, 0] + slices[0, 0, 1]) / 2)


def test_each_direction_has_its_network_and_batches_are_put_together():
    networks = {"ab": lambda x: x + 0.25, "ba": lambda x: -x}
    translator = VolumeTranslator(networks, Preprocessing("axial", 1.0, 8))
    slices = np.random.default_rng(0).uniform(-1, 0.5, (19, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(translator.translate_slices(slices, "ab"), slices + 0.25)
    np.testing.assert_allclose(translator.translate_slices(slices, "ba"), -slices)
    assert translator.generator_s > 0


def test_networks_see_neighbors_and_the_ends_repeat():
    seen = []

    def network(stack):
        seen.append(stack.clone())
        return center(stack)

    translator = VolumeTranslator({"ab": network}, Preprocessing("axial", 1.0, 8), num_adjacent=2)
    slices = np.arange(11, dtype=np.float32)[:, None, None] * np.ones((11, 8, 8), np.float32)
    np.testing.assert_array_equal(translator.translate_slices(slices, "ab"), slices)
    values = torch.cat(seen)[:, :, 0, 0].int().tolist()
    assert values[0] == [0, 0, 0, 1, 2]
    assert values[5] == [3, 4, 5, 6, 7]
    assert values[10] == [8, 9, 10, 10, 10]


@pytest.mark.parametrize("view", TEST_TIME_VIEWS)
def test_a_view_is_undone(view):
    slices = np.random.default_rng(0).uniform(-1, 1, (3, 9, 10)).astype(np.float32)
    back = view.undo(view.apply(slices))
    kept = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_array_equal(back[kept], slices[kept])


def test_views_change_what_the_network_sees():
    slices = np.zeros((1, 4, 5), np.float32)
    slices[0, 1, 1] = 1
    assert View(flip=True).apply(slices)[0, 1, 3] == 1
    moved = View(shift=(2, -1)).apply(slices)
    assert moved[0, 3, 0] == 1
    assert moved[0, 0].tolist() == [-1.0] * 5  # background enters


def test_mean_and_spread_of_an_ensemble(head):
    scaled = scale_intensities(Volume(head((12, 14, 6)), np.eye(4)))
    preprocessing = Preprocessing("axial", 1.0, 16)
    gains = (0.1, 0.4, 0.7)
    translators = [VolumeTranslator({"ab": lambda x, gain=gain: gain * (x + 1) - 1}, preprocessing) for gain in gains]
    mean, std = translate_with_std(translators, scaled, "ab", [View()])
    members = np.stack([gain * scaled.array for gain in gains])
    np.testing.assert_allclose(mean, members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, members.std(axis=0, ddof=1), atol=1e-6)


def test_a_network_that_does_not_mind_flips_has_no_spread(head):
    scaled = scale_intensities(Volume(head((12, 14, 6)), np.eye(4)))
    translator = VolumeTranslator(IDENTITY, Preprocessing("axial", 1.0, 24))
    mean, std = translate_with_std([translator], scaled, "ab", TEST_TIME_VIEWS)
    np.testing.assert_allclose(mean, scaled.array, atol=1e-6)
    assert std.max() < 1e-6


def test_a_scaled_volume_is_not_changed(head):
    scaled = scale_intensities(Volume(head((12, 14, 6)), np.eye(4)))
    before = scaled.array.copy()
    VolumeTranslator(IDENTITY, Preprocessing("axial", 2.0, 16))(scaled, "ab")
    np.testing.assert_array_equal(scaled.array, before)
    assert isinstance(scaled, ScaledVolume)


@pytest.mark.parametrize("seed", range(8))
def test_axis_by_axis_is_the_general_resampling(seed):
    """Any order and direction of axes, spacing and place, against SciPy's general transform."""
    random = np.random.default_rng(seed)
    slices = random.random((7, 9, 8)).astype(np.float32)
    order = random.permutation(3)
    scan = np.eye(4)
    scan[:3, :3] = np.diag(random.choice([-1, 1], 3) * random.uniform(0.4, 1.7, 3))[order]
    scan[:3, 3] = random.uniform(0, 8, 3)
    shape = (11, 6, 10)
    record = {"affine": np.eye(4).tolist(), "source_affine": scan.tolist(), "source_shape": list(shape)}
    expected = ndimage.affine_transform(slices, scan[:3, :3], scan[:3, 3], shape, order=1, mode="nearest")
    np.testing.assert_allclose(to_scan_grid(slices, record), expected, atol=1e-5)


def test_a_sheared_scan_comes_back(head):
    affine = np.eye(4)
    affine[0, 1] = 0.3
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in (33, 37, 6)], indexing="ij")
    smooth = (np.exp(-3 * sum(axis**2 for axis in axes)) * 100).astype(np.float32)
    output, scaled = round_trip(Volume(smooth, affine), 1.0, 64)
    np.testing.assert_allclose(output, scaled.array, atol=0.05)


def test_every_view_counts(head):
    """A network that answers with where a pixel lies: the mean over what each view makes of that, undone."""
    scaled = scale_intensities(Volume(head((12, 14, 6)), np.eye(4)))
    place = torch.linspace(-0.8, 0.9, 24).expand(24, 24)
    translator = VolumeTranslator({"ab": lambda x: place.expand_as(x)}, Preprocessing("axial", 1.0, 24))
    mean, std = translate_with_std([translator], scaled, "ab", TEST_TIME_VIEWS)
    prepared = translator.preprocessing.slices_of(scaled)
    answer = np.broadcast_to(place.numpy(), prepared.slices.shape).copy()
    members = np.stack([translator.on_scan_grid(view.undo(answer), prepared) for view in TEST_TIME_VIEWS])
    assert len(members) == 5
    np.testing.assert_allclose(mean, members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, members.std(axis=0, ddof=1), atol=1e-6)
    assert std.min() > 0.01


def test_background_stays_background(head):
    """Where a scan is empty outside the head, whatever the network makes of it; noise in the air is left alone."""
    array = head((24, 26, 7))
    painting = VolumeTranslator({"ab": lambda x: torch.full_like(x, 0.4)}, Preprocessing("axial", 1.0, 32))
    noisy = scale_intensities(Volume(array, np.eye(4)))
    assert painting(noisy, "ab").min() == pytest.approx(0.7)
    stripped = scale_intensities(Volume(np.where(noisy.foreground, array, 0), np.eye(4)))
    place = torch.linspace(-0.8, 0.9, 32).expand(32, 32)
    uneven = VolumeTranslator({"ab": lambda x: place.expand_as(x)}, Preprocessing("axial", 1.0, 32))
    std = translate_with_std([uneven], stripped, "ab", TEST_TIME_VIEWS)[1]
    assert std[~stripped.foreground].max() == 0 < std[stripped.foreground].min()
    for output in (painting(stripped, "ab"), translate_with_std([painting], stripped, "ab", TEST_TIME_VIEWS)[0]):
        np.testing.assert_array_equal(output[~stripped.foreground], 0)
        np.testing.assert_allclose(output[stripped.foreground], 0.7, rtol=1e-6)


def test_slices_that_take_much_memory_pass_a_few_at_a_time():
    sizes = {slice_bytes: [] for slice_bytes in (1, 2**29, 2**31)}
    for slice_bytes, seen in sizes.items():
        network = lambda x, seen=seen: seen.append(len(x)) or x  # noqa: E731
        translator = VolumeTranslator({"ab": network}, Preprocessing("axial", 1.0, 8), slice_bytes=slice_bytes)
        translator.translate_slices(np.zeros((5, 8, 8), np.float32), "ab")
    assert list(sizes.values()) == [[4, 1], [2, 2, 1], [1] * 5]
    sizes[2**29].clear()
    translator = VolumeTranslator({"ab": network}, Preprocessing("axial", 1.0, 8), slice_bytes=2**29)
    translator.translate_slices(np.zeros((2, 8, 12), np.float32), "ab")
    assert sizes[2**31][5:] == [1, 1], "larger slices take more"
