import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from mri_cyclegan.config import CONF_DIR, register
from mri_cyclegan.networks.patchgan import PatchGAN


def test_the_default_has_2_76_million_parameters_and_30x30_patches_at_256():
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        network = instantiate(compose("train").discriminator)
    widths = [1, 64, 128, 256, 512, 1]
    weights = sum(16 * i * o for i, o in zip(widths, widths[1:]))
    assert sum(parameter.numel() for parameter in network.parameters()) == weights + 64 + 1
    assert round(weights / 1e6, 2) == 2.76
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("num_layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_its_patch_and_no_more(num_layers, patch):
    """Receptive field measured by gradient; instance normalization, which sees the whole map, is taken out."""
    network = PatchGAN(1, base_channels=2, num_layers=num_layers).double()
    for index, layer in enumerate(network.layers):
        if isinstance(layer, torch.nn.InstanceNorm2d):
            network.layers[index] = torch.nn.Identity()
    image = torch.ones(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows, columns = (image.grad[0, 0].abs().sum(dim=axis).nonzero() for axis in (1, 0))
    assert rows.max() - rows.min() + 1 == patch
    assert columns.max() - columns.min() + 1 == patch
