import pytest
import torch

from mri_cyclegan.training.loss_means import LossMeans


def test_means_of_each_loss_since_the_last_time():
    means = LossMeans()
    assert means.take() == {}
    for value in (1.0, 2.0, 6.0):
        means.add({"cycle": torch.tensor(value), "identity": torch.tensor(-value, dtype=torch.bfloat16)})
    assert means.num_batches == 3
    assert {name: float(mean) for name, mean in means.take().items()} == {"cycle": 3.0, "identity": -3.0}
    means.add({"cycle": torch.tensor(5.0)})
    assert {name: float(mean) for name, mean in means.take().items()} == {"cycle": 5.0}


def test_many_small_losses_do_not_vanish():
    means = LossMeans()
    for _ in range(5000):
        means.add({"cycle": torch.tensor(0.1, dtype=torch.bfloat16)})
    assert float(means.take()["cycle"]) == pytest.approx(0.1, rel=0.01)


def test_what_is_not_finite_does_not_count():
    means = LossMeans()
    for cycle, identity in ((1.0, float("nan")), (float("inf"), float("nan")), (3.0, float("nan"))):
        means.add({"cycle": torch.tensor(cycle), "identity": torch.tensor(identity)})
    found = means.take()
    assert float(found["cycle"]) == 2.0
    assert found["identity"].isnan()
