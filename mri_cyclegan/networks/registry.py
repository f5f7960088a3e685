"""Generators by name, as saved models refer to them."""

from typing import Protocol

from torch import Tensor, nn

from mri_cyclegan.networks.from_monai import AttentionUNet, SwinUNETR
from mri_cyclegan.networks.resnet import ResNet
from mri_cyclegan.networks.transformer_unet import TransformerUNet
from mri_cyclegan.networks.unet import UNet
from mri_cyclegan.trusted_classes import import_class, is_trusted


class Generator(Protocol):
    """Interface of a generator: a :class:`torch.nn.Module` that maps an image to an image of the same shape.

    Three attributes are optional:

    - ``size_multiple``, int, default 1: height and width must be multiples of it.
    - ``depends_on_size``, bool, default False: whether the output for a part of an image depends on the size of the
      whole image, as with attention and windows.
    - ``feature_channels`` and ``features(image)``, for ``extra_loss.nce``: the number of channels of each feature map,
      and the feature maps, each (B, channels, h, w).
    """

    def __call__(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, C, H, W) in [-1, 1]."""
        ...


GENERATORS: dict[str, type[nn.Module]] = {
    generator.__name__: generator for generator in (UNet, ResNet, TransformerUNet, AttentionUNet, SwinUNETR)
}


def generator_class(name: str) -> type[nn.Module]:
    """Return the class of a saved generator.

    Args:
        name: key of :data:`GENERATORS`, or the dotted path of a class that the user has trusted.

    Raises:
        ValueError: the name is neither, or the class does not exist or is not a :class:`torch.nn.Module`.
    """
    if name in GENERATORS:
        return GENERATORS[name]
    if not is_trusted(name):
        raise ValueError(f"unknown generator {name!r}; known: {', '.join(GENERATORS)}")
    found = import_class(name)
    if not issubclass(found, nn.Module):
        raise ValueError(f"{name} is no torch.nn.Module")
    return found
