"""Generators by name: what a saved model may ask for."""

from torch import nn

from mri_cyclegan.networks.unet import UNet

GENERATORS: dict[str, type[nn.Module]] = {"UNet": UNet}
