"""Generators by name: what a saved model may ask for.

Each is a module from (B, in_channels, H, W) to (B, out_channels, H, W), both in [-1, 1], whose ``size_multiple`` says
what both sides must be multiples of. Whose ``depends_on_size`` is true gives another image where the same is part of a
larger one: attention and windows see where in the image they are.
"""

from torch import nn

from mri_cyclegan.networks.from_monai import AttentionUNet, SwinUNETR
from mri_cyclegan.networks.resnet import ResNet
from mri_cyclegan.networks.transformer_unet import TransformerUNet
from mri_cyclegan.networks.unet import UNet

GENERATORS: dict[str, type[nn.Module]] = {
    generator.__name__: generator for generator in (UNet, ResNet, TransformerUNet, AttentionUNet, SwinUNETR)
}
