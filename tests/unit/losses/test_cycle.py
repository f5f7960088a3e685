import pytest
import torch

from mri_cyclegan.losses.cycle import cycle_loss, identity_loss


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_mean_absolute_difference(loss):
    made = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]])
    real = torch.tensor([[[[-1.0, -1.0], [0.0, 0.25]]]])
    assert loss(made, real).item() == pytest.approx((2 + 0 + 0.5 + 0.25) / 4)
    assert loss(real, real).item() == 0.0
