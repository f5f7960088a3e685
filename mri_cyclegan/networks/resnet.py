"""ResNet generator, as in the CycleGAN paper."""

from itertools import islice

from torch import Tensor, nn

from mri_cyclegan.networks.blocks import init_normal, require_sides, upsample


class ResNet(nn.Module):
    """Two halvings, residual blocks at a quarter of the resolution, two doublings.

    Without skip connections across resolutions, all information about an image passes through the blocks.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        base_channels: channels at full resolution; doubled at each halving.
        num_blocks: number of residual blocks; the paper uses 6 for 128×128 and 9 for 256×256 and larger.
        upsample: ``"transposed"``, a 3×3 transposed convolution, or ``"resize"``, nearest-neighbor upsampling and a
            3×3 convolution.

    Attributes:
        feature_channels: number of channels of each output of :meth:`features`.

    Reference:
        Johnson et al., "Perceptual losses for real-time style transfer", ECCV 2016, supplementary material;
        Zhu et al., ICCV 2017, section 7.2.
    """

    size_multiple = 4

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        base_channels: int = 64,
        num_blocks: int = 9,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        if num_blocks < 1:
            raise ValueError(f"generator.num_blocks: expected at least 1, got {num_blocks}.")
        width = base_channels
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalized(nn.Conv2d(in_channels, width, 7, bias=False), width),
            *_normalized(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), 2 * width),
            *_normalized(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False), 4 * width),
            *(ResidualBlock(4 * width) for _ in range(num_blocks)),
            *_normalized(_doubling(4 * width, 2 * width, upsample), 2 * width),
            *_normalized(_doubling(2 * width, width, upsample), width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, out_channels, 7),
            nn.Tanh(),
        )
        init_normal(self)
        # Layer indices of the two halvings, the first and the fifth residual block.
        halvings, first_block = (4, 7), 10
        self.feature_layers = (*halvings, *sorted({first_block, first_block + min(num_blocks, 5) - 1}))
        self.feature_channels = [in_channels, 2 * width, *[4 * width] * (len(self.feature_layers) - 1)]

    def forward(self, image: Tensor) -> Tensor:
        """Translate images.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of 4.

        Returns:
            (B, out_channels, H, W), in [-1, 1].
        """
        require_sides(image, self.size_multiple, "ResNet")
        return self.layers(image)

    def features(self, image: Tensor) -> list[Tensor]:
        """Encoder features of images, from fine to coarse; layers after the fifth block are not computed.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of 4, at least 8.

        Returns:
            The image itself; the outputs of the two halving convolutions, (B, C, H / 2, W / 2) and (B, C, H / 4,
            W / 4); those of the first and the fifth residual block, or the last if there are fewer, at the same size.

        Reference:
            Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020, section 4.
        """
        require_sides(image, self.size_multiple, "features of a ResNet", smallest=8)
        features, x = [image], image
        for index, layer in enumerate(islice(self.layers, self.feature_layers[-1] + 1)):
            x = layer(x)
            if index in self.feature_layers:
                features.append(x)
        return features


class ResidualBlock(nn.Module):
    """Two normalized 3×3 convolutions whose output is added to their input.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normalized(nn.Conv2d(channels, channels, 3, bias=False), channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        return x + self.layers(x)


def _normalized(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(channels), nn.ReLU()


def _doubling(in_channels: int, out_channels: int, mode: str) -> nn.Module:
    if mode == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)
    return upsample(in_channels, out_channels, mode)
