import numpy as np
import pytest

from mri_cyclegan.data.appearance import appearance, training_appearance, unlike_training
from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.volume import Volume


def seen(head, seed, change=lambda array: array, spacing=2.0):
    array = change(head((24, 26, 20), seed))
    return appearance(scale_intensities(Volume(array.astype(np.float32), np.diag([spacing, spacing, spacing, 1.0]))))


@pytest.fixture
def training(head):
    return training_appearance([seen(head, seed) for seed in range(5)])


def test_numbers_of_a_scan_by_hand():
    array = np.zeros((2, 3, 1), np.float32)
    foreground = np.zeros(array.shape, bool)
    foreground[0] = True
    array[0, :, 0] = (0.25, 0.75, 0.5)
    found = appearance(ScaledVolume(array, np.diag([2.0, 5.0, 10.0, 1.0]), foreground, 0.0, 1.0))
    assert found["foreground_ml"] == pytest.approx(0.3)
    assert found["mean"] == pytest.approx(0.5)
    assert found["sd"] == pytest.approx(np.std([0.25, 0.75, 0.5]))
    assert found["roughness"] == pytest.approx((0.5 + 0.25) / 2)
    assert sum(found["histogram"]) == pytest.approx(1, abs=1e-5)
    assert [found["histogram"][b] for b in (64, 192, 128)] == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_training_range_and_distance(head):
    scans = [seen(head, seed) for seed in range(4)]
    found = training_appearance(scans)
    assert found["num_scans"] == 4
    assert found["ranges"]["mean"] == [min(s["mean"] for s in scans), max(s["mean"] for s in scans)]
    # A scan's distance from the mean of the others.
    histograms = np.array([scan["histogram"] for scan in scans])
    distances = [
        np.abs(np.cumsum(histograms[i] - np.delete(histograms, i, axis=0).mean(axis=0))).mean() for i in range(4)
    ]
    assert found["histogram_distance"] == pytest.approx(max(distances), abs=1e-6)


def test_another_scan_of_the_same_kind_is_like_training(head, training):
    for seed in range(5, 15):
        assert unlike_training(seen(head, seed), training) == []


@pytest.mark.parametrize(
    ("change", "spacing", "words"),
    [
        (lambda a: a.max() - a, 2.0, "intensities differ by"),
        (lambda a: np.where(a > 20, a**3, a), 2.0, "intensities differ by"),
        (
            lambda a: a + np.random.default_rng(0).normal(0, 25, a.shape) * (a > 20),
            2.0,
            "neighboring voxels differ by",
        ),
        (lambda a: a, 3.0, r"head of \d+ ml \(training"),
    ],
    ids=["inverted", "other contrast", "noisy", "three times the volume"],
)
def test_scans_of_another_kind_are_told_with_the_numbers(head, training, change, spacing, words):
    found = unlike_training(seen(head, 20, change, spacing), training)
    assert any(__import__("re").search(words, clause) for clause in found), found
