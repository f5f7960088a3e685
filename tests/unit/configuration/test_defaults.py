"""What is built in a notebook is what a run builds: constructors have the configuration's values as defaults."""

import inspect

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import DictConfig, ListConfig, OmegaConf

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.networks.patchgan import PatchGAN
from mri_cyclegan.networks.unet import UNet
from mri_cyclegan.training.cyclegan import CycleGAN

GROUPS = ("data", "generator", "discriminator", "optimization", "model", "extra_loss")
OVERRIDES = [
    [],
    *([f"generator={name}"] for name in ("resnet", "swin_unetr", "attention_unet", "transformer_unet")),
    ["discriminator=pixel"],
    ["discriminator=multiscale"],
    ["+registration@extra_loss.paired.registration_a=unet"],
    ["data=phantom", "data.split_column=null"],
]


def nodes_with_target(node, key):
    if "_target_" in node:
        yield key, node
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
            yield from nodes_with_target(child, f"{key}.{name}")


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_constructors_have_the_values_of_the_configuration(overrides):
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", ["data=bids", "data.root=/data", *overrides])
    num_compared = 0
    for group in GROUPS:
        for key, node in nodes_with_target(config[group], group):
            parameters = inspect.signature(get_class(node._target_)).parameters
            assert node.keys() - {"_target_"} == parameters.keys()
            for name, parameter in parameters.items():
                # An extra loss is off in a run until it gets a weight; one that is written down counts.
                is_weight = key.startswith("extra_loss") and name == "weight"
                if name == "root" or is_weight or OmegaConf.is_interpolation(node, name):
                    continue
                value = node[name]
                if isinstance(value, ListConfig):
                    value = tuple(value)
                if not isinstance(value, DictConfig):
                    assert (name, parameter.default) == (name, value), key
                    num_compared += 1
    assert num_compared > 60


def test_a_notebook_needs_few_arguments(tmp_path):
    model = CycleGAN(UNet(depth=2), UNet(depth=2), PatchGAN(), PatchGAN())
    assert model.translate(torch.zeros(2, 1, 16, 16), "ab").shape == (2, 1, 16, 16)
    assert MRIDataModule(root=str(tmp_path)).contrasts == ("T1w", "T2w")
