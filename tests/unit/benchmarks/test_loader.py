import time

import numpy as np
import pytest

from mri_cyclegan.benchmarks.loader import NUM_WARM_UP, benchmark_loader, measure_epochs, summarize, waiting_share
from mri_cyclegan.benchmarks.loader_candidates import candidates, write_volumes


def batches_that_take(*seconds: float):
    """An epoch of batches, each after its time."""

    def batches():
        for wait_s in seconds:
            time.sleep(wait_s)
            yield {}

    return batches


def test_all_contenders_load_all_slices_and_only_augmented_ones_are_changed(tmp_path):
    volumes = [write_volumes(tmp_path, name, 110, 32) for name in "ab"]
    assert [volume.num_slices for volume in volumes[0]] == [100, 10]
    on_disk = {image.tobytes() for volume in volumes[0] for image in volume.slices}
    assert len(on_disk) == 110
    for name, make in candidates(*volumes, 4).items():
        loaded = list(make(0)())
        images = np.concatenate([np.asarray(batch["a"]) for batch in loaded])
        assert images.shape == np.concatenate([np.asarray(batch["b"]) for batch in loaded]).shape == (110, 1, 32, 32)
        if name.startswith("MONAI"):
            images = images * 2 - 1
        assert images.min() == -1
        known = np.stack([np.frombuffer(raw, np.float32).reshape(32, 32) for raw in on_disk])
        distances = [np.abs(image - known).max(axis=(1, 2)).min() for image in images[:5, 0]]
        assert [distance < 1e-6 for distance in distances] == [" raw " in name] * 5


def test_waiting_is_the_share_of_time_between_steps():
    start = [0.0] * NUM_WARM_UP
    assert waiting_share(batches_that_take(*start, *[0.02] * 5), 0.02) == pytest.approx(0.5, abs=0.1)
    assert waiting_share(batches_that_take(*start, *[0.0] * 5), 0.02) < 0.05


def test_the_first_batches_do_not_count_as_waiting():
    assert waiting_share(batches_that_take(*[0.05] * NUM_WARM_UP, 0.0, 0.0), 0.01) < 0.1


def test_the_first_epoch_is_left_out():
    seconds = iter([0.2, 0.0, 0.0])

    def batches():
        time.sleep(next(seconds))
        yield {}

    measured = measure_epochs({"x": batches}, repeats=2)["x"]
    assert len(measured) == 2
    assert max(measured) < 0.1


def test_a_summary_is_median_and_extremes():
    assert summarize([5.0, 1.0, 3.0]) == {"median": 3.0, "min": 1.0, "max": 5.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_slices": 79}, "num_slices: expected at least 80 for loader.batch_size=4, got 79"),
        ({"repeats": 0}, "loader.num_workers: expected at least one"),
        ({"num_workers": []}, "loader.num_workers: expected at least one"),
    ],
)
def test_too_little_to_measure_is_refused_by_its_key(tmp_path, changes, message):
    settings = {"image_size": 16, "batch_size": 4, "num_workers": [0], "num_slices": 80, "repeats": 1}
    with pytest.raises(ValueError, match=message):
        benchmark_loader(tmp_path, **settings | changes, device_step_ms=[1])
