import math

import numpy as np
import pytest
import torch
from monai.transforms import AdjustContrast, Affine, ScaleIntensity
from scipy import ndimage

from mri_cyclegan.data import augmentation
from mri_cyclegan.data.augmentation import CHANGES, Augmentation

OFF = {"rotation_degrees": 0, "shift": 0, "scale": 0, "flip": False, "brightness": 0, "contrast": 0}
EVERYTHING = {
    "rotation_degrees": 8,
    "shift": 0.04,
    "scale": 0.05,
    "flip": True,
    "brightness": 0.05,
    "contrast": 0.1,
}


def apply(images: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    # The settings only matter for drawing.
    return Augmentation(**OFF)(images, changes)


def changes(**values: float) -> torch.Tensor:
    """One sample's changes: none but these."""
    unchanged = dict(zip(CHANGES, (1, 1, 1, 0, 0, 0, 1, 1), strict=True))
    return torch.tensor([list((unchanged | values).values())], dtype=torch.float32)


def drawn(seed: int, num_samples: int = 1, **settings) -> torch.Tensor:
    return Augmentation(**OFF | settings).draw(np.random.default_rng(seed), num_samples)


def augmented(image: torch.Tensor, seed: int, **settings) -> torch.Tensor:
    """One slice, (1, H, W), changed by random numbers of a seed."""
    return apply(image[None], drawn(seed, **settings))[0]


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def blobs(*shape: int) -> torch.Tensor:
    """Smooth structure on background, (B, C, H, W)."""
    smooth = ndimage.gaussian_filter(noise(*shape).numpy(), (0, 0, 2, 2))
    return torch.from_numpy(np.clip(6 * smooth, -1, 1).astype(np.float32))


def picture(size: int = 64, half_height: int = 20, half_width: int = 12, offset: tuple[int, int] = (0, 0)):
    """A bright box of graded intensity on background, (1, H, W)."""
    image = torch.full((1, size, size), -1.0)
    row, column = size // 2 + offset[0], size // 2 + offset[1]
    rows, columns = slice(row - half_height, row + half_height), slice(column - half_width, column + half_width)
    image[0, rows, columns] = torch.linspace(0.2, 0.8, 2 * half_height)[:, None]
    return image


def center_of(image: torch.Tensor) -> np.ndarray:
    shown = (image[0] > -0.4).double()
    return np.array([float(index.double().mean()) for index in torch.nonzero(shown, as_tuple=True)])


def extent_of(image: torch.Tensor) -> tuple[int, int]:
    shown = image[0] > -0.4
    return int(shown.any(dim=1).sum()), int(shown.any(dim=0).sum())


# Against other implementations


def by_scipy(image: np.ndarray, values: dict[str, float]) -> np.ndarray:
    """The changes in the order of their names, on one channel, in double precision."""
    signal = (image.astype(np.float64) + 1) / 2
    cosine, sine = math.cos(values["rotation"]), math.sin(values["rotation"])
    flip = np.diag([1, values["flip"]])
    scale = np.diag([values["scale_row"], values["scale_column"]])
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    back = np.linalg.inv(rotation @ scale @ flip)
    center = (np.array(image.shape) - 1) / 2
    shift = np.array([values["shift_row"], values["shift_column"]]) * image.shape
    moved = ndimage.affine_transform(signal, back, center - back @ (center + shift), order=1, mode="grid-constant")
    return np.clip((moved * values["brightness"]) ** values["gamma"], 0, 1) * 2 - 1


@pytest.mark.parametrize("size", [(64, 64), (50, 50), (40, 72)])
def test_a_batch_equals_scipy_sample_by_sample(size):
    strong = {"rotation_degrees": 30, "shift": 0.2, "scale": 0.3, "flip": True, "brightness": 0.4, "contrast": 0.5}
    images, numbers = blobs(12, 3, *size), drawn(0, 12, **strong)
    changed = apply(images, numbers).numpy()
    assert {-1.0, 1.0} == set(numbers[:, 0].tolist())
    for sample in range(12):
        values = dict(zip(CHANGES, numbers[sample].double().tolist(), strict=True))
        for channel in range(3):
            expected = by_scipy(images[sample, channel].numpy(), values)
            np.testing.assert_allclose(changed[sample, channel], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"rotation": 0.3}, {"rotate_params": 0.3}),
        ({"shift_row": -3 / 40, "shift_column": 5 / 64}, {"translate_params": (3, -5)}),
        ({"scale_row": 0.8, "scale_column": 1.25}, {"scale_params": (1.25, 0.8)}),
        ({"flip": -1}, {"scale_params": (1, -1)}),
    ],
)
def test_moves_equal_monai_affine(ours, theirs):
    image = blobs(1, 1, 40, 64)
    expected = Affine(**theirs, padding_mode="zeros", image_only=True)((image[0] + 1) / 2).as_tensor() * 2 - 1
    torch.testing.assert_close(apply(image, changes(**ours))[0], expected, rtol=0, atol=1e-4)


def test_brightness_and_gamma_equal_monai():
    image = blobs(1, 1, 32, 32)
    signal = (image[0] + 1) / 2
    assert (signal.min(), signal.max()) == (0, 1)  # MONAI's curve runs between the image's own limits
    darker = ScaleIntensity(minv=None, maxv=None, factor=-0.3)(signal).as_tensor()
    torch.testing.assert_close(apply(image, changes(brightness=0.7))[0], darker * 2 - 1, rtol=0, atol=1e-6)
    curved = AdjustContrast(gamma=1.4)(signal).as_tensor()
    torch.testing.assert_close(apply(image, changes(gamma=1.4))[0], curved * 2 - 1, rtol=0, atol=1e-6)


# Identity, batches, numbers


@pytest.mark.parametrize("size", [(24, 24), (100, 100), (64, 96), (224, 224), (256, 256)])
def test_no_changes_give_the_image_back(size):
    images = noise(2, 3, *size)
    torch.testing.assert_close(apply(images, changes().expand(2, -1)), images, rtol=0, atol=1e-6)
    torch.testing.assert_close(apply(images, drawn(0, 2)), images, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [64, 100, 224])
def test_a_flip_alone_is_exact_up_to_rounding(size):
    images = blobs(1, 1, size, size)
    torch.testing.assert_close(apply(images, changes(flip=-1)), images.flip(-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (32, 64)])
def test_a_shift_is_a_share_of_the_images_own_sides(size):
    images = blobs(1, 1, *size)
    down, right = size[0] // 4, size[1] // 8
    expected = torch.full_like(images, -1)
    expected[..., down:, right:] = images[..., :-down, :-right]
    moved = apply(images, changes(shift_row=0.25, shift_column=0.125))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)


def test_samples_have_changes_of_their_own_and_channels_share_them():
    images, numbers = blobs(4, 3, 48, 48), drawn(0, 4, **EVERYTHING)
    changed = apply(images, numbers)
    for sample in range(4):
        for channel in range(3):
            alone = apply(images[sample, channel][None, None], numbers[sample : sample + 1])
            torch.testing.assert_close(changed[sample, channel], alone[0, 0], rtol=0, atol=1e-6)
    same = apply(images[:1].expand(4, -1, -1, -1), numbers)
    assert all((same[one] - same[other]).abs().max() > 0.01 for one in range(4) for other in range(one))


def test_a_batch_changed_in_parts_is_the_same(monkeypatch):
    images, numbers = blobs(5, 3, 32, 32), drawn(0, 5, **EVERYTHING)
    whole = apply(images, numbers)
    for num_pixels in (1, 2 * 3 * 32 * 32):
        monkeypatch.setattr(augmentation, "CPU_PIXELS", num_pixels)
        torch.testing.assert_close(apply(images, numbers), whole, rtol=0, atol=1e-6)


def test_both_contrasts_of_a_batch_get_their_own_changes():
    batch = {"a": blobs(3, 1, 32, 32), "b": noise(3, 1, 32, 32), "changes": drawn(0, 6, **EVERYTHING).view(3, 2, 8)}
    changed = Augmentation(**OFF).of_batch(batch)
    assert set(changed) == {"a", "b"}
    assert torch.equal(changed["a"], apply(batch["a"], batch["changes"][:, 0]))
    assert torch.equal(changed["b"], apply(batch["b"], batch["changes"][:, 1]))


def test_autocast_does_not_coarsen_the_changes():
    images, numbers = blobs(2, 1, 64, 64), drawn(0, 2, **EVERYTHING)
    expected = apply(images, numbers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        changed = apply(images, numbers)
    assert changed.dtype == torch.float32
    assert torch.equal(changed, expected)


def test_a_batch_keeps_its_type():
    images, numbers = blobs(2, 1, 64, 64), drawn(0, 2, **EVERYTHING)
    changed = apply(images.bfloat16(), numbers.bfloat16())
    assert changed.dtype == torch.bfloat16
    expected = apply(images.bfloat16().float(), numbers.bfloat16().float())
    torch.testing.assert_close(changed.float(), expected, rtol=0, atol=2**-8)


def test_equal_random_states_draw_equally_and_others_differently():
    image = picture()
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    first = [augmented(image, seed, **EVERYTHING) for seed in range(6)]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    again = {seed: augmented(image, seed, **EVERYTHING) for seed in (5, 0, 3, 1, 4, 2)}
    for seed in range(6):
        assert torch.equal(first[seed], again[seed])
        assert all((first[seed] - first[other]).abs().max() > 0.01 for other in range(seed))


def test_augmentation_leaves_the_global_random_states_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augmented(picture(), 7, **EVERYTHING)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_every_number_fills_its_range():
    numbers = drawn(0, 4000, **EVERYTHING)
    angle = math.radians(8)
    lowest = torch.tensor([-1, 0.95, 0.95, -angle, -0.04, -0.04, 0.95, 1 / 1.1])
    highest = torch.tensor([1, 1.05, 1.05, angle, 0.04, 0.04, 1.05, 1.1])
    margin = 0.005 * (highest - lowest)
    assert numbers.shape == (4000, len(CHANGES))
    assert ((lowest - 1e-6 <= numbers) & (numbers <= highest + 1e-6)).all()
    assert (numbers.amin(dim=0) < lowest + margin).all()
    assert (numbers.amax(dim=0) > highest - margin).all()
    correlation = torch.corrcoef(numbers.T) - torch.eye(len(CHANGES))
    assert correlation.abs().max() < 0.08  # five standard deviations


def test_the_input_is_left_as_it_was():
    images, numbers = picture()[None], drawn(3, **EVERYTHING)
    before = images.clone(), numbers.clone()
    apply(images, numbers)
    apply(images, changes())
    assert torch.equal(images, before[0])
    assert torch.equal(numbers, before[1])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rotation_degrees", -1),
        ("shift", 1.0),
        ("scale", 1.0),
        ("scale", -0.1),
        ("brightness", 1.5),
        ("contrast", -0.1),
        ("contrast", float("nan")),
    ],
)
def test_a_bad_setting_is_refused_by_its_key(setting, value):
    with pytest.raises(ValueError, match=rf"^data\.augmentation\.{setting}: expected 0 .* got {value}"):
        Augmentation(**OFF | {setting: value})


# What each setting does to a picture


def test_a_changed_slice_stays_in_range_and_on_background():
    for seed in range(20):
        changed = augmented(
            picture(half_height=6, half_width=6),
            seed,
            rotation_degrees=30,
            shift=0.2,
            scale=0.3,
            flip=True,
            brightness=0.5,
            contrast=0.5,
        )
        assert changed.dtype == torch.float32
        assert changed.shape == (1, 64, 64)
        assert changed.min() == -1
        assert changed.max() <= 1
        assert (changed[0, 0] == -1).all()


def test_what_moves_in_from_outside_is_background():
    changed = torch.stack([augmented(torch.ones(1, 32, 32), seed, shift=0.2) for seed in range(10)])
    assert set(changed.unique().tolist()) >= {-1.0, 1.0}
    assert (changed == -1).flatten(1).any(dim=1).sum() >= 8


def test_brightness_and_contrast_leave_background_alone_and_change_the_rest():
    image = picture()
    background = image == -1
    for settings in ({"brightness": 0.3}, {"contrast": 0.5}, {"brightness": 0.3, "contrast": 0.5}):
        changed = torch.stack([augmented(image, seed, **settings) for seed in range(10)])
        assert (changed[:, background] == -1).all()
        assert (changed[:, ~background] - image[~background]).abs().amax(dim=1).min() > 1e-4
        assert (changed[:, ~background] - image[~background]).abs().max() > 0.05


def test_brightness_is_one_factor_within_its_limits():
    image = picture()
    shown = image > -1
    factors = []
    for seed in range(30):
        ratio = (augmented(image, seed, brightness=0.05)[shown] + 1) / (image[shown] + 1)
        assert float(ratio.std()) < 1e-5
        factors.append(float(ratio.mean()))
    assert 0.95 - 1e-5 <= min(factors) < 0.98
    assert 1.02 < max(factors) <= 1.05 + 1e-5


def test_contrast_is_a_gamma_curve_within_its_limits():
    image = picture()
    value = image[0, 32, 32].add(1).div(2)
    exponents = []
    for seed in range(30):
        changed = augmented(image, seed, contrast=0.25)[0, 32, 32].add(1).div(2)
        exponents.append(float(changed.log() / value.log()))
    assert 0.8 - 1e-3 <= min(exponents) < 0.9
    assert 1.1 < max(exponents) <= 1.25 + 1e-3


def test_rotation_turns_either_way_within_its_limit():
    image = picture(half_height=24, half_width=4)
    angles = []
    for seed in range(40):
        changed = augmented(image, seed, rotation_degrees=20)
        rows, columns = torch.nonzero(changed[0] > -0.4, as_tuple=True)
        points = np.stack([rows.numpy() - 31.5, columns.numpy() - 31.5])
        axis = np.linalg.eigh(np.cov(points))[1][:, -1]
        angles.append(math.degrees(math.atan(axis[1] / axis[0])))
        np.testing.assert_allclose(center_of(changed), [31.5, 31.5], atol=0.7)
    assert -21 < min(angles) < -10
    assert 10 < max(angles) < 21


def test_shift_moves_along_both_axes_within_its_limit():
    image = picture(half_height=8, half_width=8)
    moves = np.array([center_of(augmented(image, seed, shift=0.1)) - 31.5 for seed in range(40)])
    assert (np.abs(moves) < 6.4 + 0.6).all()
    assert (moves.min(axis=0) < -3).all()
    assert (moves.max(axis=0) > 3).all()
    assert abs(np.corrcoef(moves.T)[0, 1]) < 0.5


def test_scale_enlarges_and_reduces_along_both_axes_within_its_limit():
    image = picture(half_height=20, half_width=20)
    extents = np.array([extent_of(augmented(image, seed, scale=0.2)) for seed in range(40)])
    assert (extents.min(axis=0) >= 40 * 0.8 - 2).all()
    assert (extents.max(axis=0) <= 40 * 1.2 + 2).all()
    assert (extents.min(axis=0) < 36).all()
    assert (extents.max(axis=0) > 44).all()


def test_flip_swaps_left_and_right_alone_half_of_the_time():
    image = picture(offset=(-5, 10))
    flipped = image.flip(-1)
    outcomes = [augmented(image, seed, flip=True) for seed in range(40)]
    same, swapped = (sum(torch.allclose(out, kind, atol=1e-5) for out in outcomes) for kind in (image, flipped))
    assert same + swapped == 40
    assert 10 < swapped < 30
