import numpy as np
import pytest
import torch

from mri_cyclegan.networks.minibatch_stdev import MinibatchStdev
from mri_cyclegan.networks.patchgan import PatchGAN


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_it_is_numpys_standard_deviation_over_the_batch_softened_and_averaged(batch_size):
    torch.manual_seed(0)
    features = torch.randn(batch_size, 3, 4, 5, dtype=torch.float64)
    output = MinibatchStdev()(features)
    assert output.shape == (batch_size, 4, 4, 5)
    assert torch.equal(output[:, :3], features)
    expected = (np.sqrt(features.numpy().var(axis=0) + 1e-4) - 0.01).mean()
    assert output[:, 3].unique().tolist() == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_equal_images_do_not_vary_and_their_gradient_is_finite(batch_size):
    features = torch.randn(1, 3, 4, 5).repeat(batch_size, 1, 1, 1).requires_grad_()
    stdev = MinibatchStdev()(features)[:, 3]
    assert stdev.abs().max() < 1e-8
    stdev.sum().backward()
    assert features.grad.abs().max() < 1e-5


def test_a_gradient_penalty_through_it_is_finite_where_images_agree():
    images = torch.zeros(2, 1, 4, 4).requires_grad_()
    weight = torch.ones((), requires_grad=True)
    (slope,) = torch.autograd.grad(MinibatchStdev()(weight * images)[:, 1].sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert weight.grad.isfinite()


def test_the_last_layer_of_a_discriminator_sees_it():
    torch.manual_seed(0)
    network = PatchGAN(1, base_channels=4, num_layers=1, spectral_norm=False, minibatch_stdev=True)
    image, other = torch.randn(2, 1, 1, 16, 16)
    among_equals, among_others = network(torch.cat([image, image]))[:1], network(torch.cat([image, other]))[:1]
    torch.testing.assert_close(among_equals, network(image))  # one image alone does not vary either
    assert (among_others - among_equals).abs().min() > 0
