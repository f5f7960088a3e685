"""Building blocks shared by generators and discriminators."""

from torch import Tensor, nn


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draw every convolution weight from N(0, ``std``) and set every bias to zero, in place.

    Reference:
        Radford et al., "Unsupervised representation learning with DCGAN", ICLR 2016, section 4;
        Zhu et al., "Unpaired image-to-image translation", ICCV 2017, section 7.2.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def downsample(in_channels: int, out_channels: int) -> nn.Conv2d:
    """4×4 convolution with stride 2, which halves both sides."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False)


def upsample(in_channels: int, out_channels: int, mode: str) -> nn.Module:
    """Layer that doubles both sides.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        mode: ``"transposed"``, a 4×4 transposed convolution with stride 2, or ``"resize"``, nearest-neighbor
            upsampling and a 3×3 convolution, which avoids checkerboard artifacts.

    Reference:
        Odena et al., "Deconvolution and checkerboard artifacts", Distill 2016.
    """
    if mode == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False)
    if mode == "resize":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        )
    raise ValueError(f"generator.upsample: expected 'transposed' or 'resize', got {mode!r}.")


def require_sides(image: Tensor, multiple: int, name: str, smallest: int = 1) -> None:
    """Raise unless both sides of an image fit a generator.

    Args:
        image: (B, C, H, W).
        multiple: both sides must be multiples of it.
        name: name of the generator, for the message.
        smallest: minimum length of both sides.

    Raises:
        ValueError: a side is too small or not a multiple.
    """
    height, width = image.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < smallest:
        least = f", {smallest} or more" if smallest > multiple else ""
        raise ValueError(
            f"{name}: expected sides that are multiples of {multiple}{least}, got {(height, width)}. "
            "Change data.image_size or the generator."
        )
