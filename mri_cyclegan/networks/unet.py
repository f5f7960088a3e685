"""U-Net generator."""

import torch
from torch import Tensor, nn

from mri_cyclegan.networks.blocks import downsample, init_normal, require_sides, upsample

# Encoder levels used as features: down to a sixteenth of the image's sides; deeper levels have few patches.
MAX_FEATURE_LEVELS = 4


class UNet(nn.Module):
    """Encoder–decoder with skip connections.

    Every level halves the sides with a 4×4 stride-2 convolution and the decoder mirrors it; the output of encoder
    level *i* is concatenated to the input of the decoder level of the same size. Channels double from
    ``base_channels`` up to eight times that: 64-128-256-512-512-512-512-512 for the defaults of the experiments.
    Instance normalization follows every convolution except the first (it would erase the image's own contrast), the
    innermost (a 1×1 map has no variance) and the last.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        base_channels: channels after the first level.
        depth: number of levels; both sides of the input must be multiples of ``2 ** depth``.
        dropout: dropout probability in the first three decoder levels; 0 for none.
        upsample: ``"transposed"`` or ``"resize"``, see :func:`mri_cyclegan.networks.blocks.upsample`.
        full_resolution_skip: whether to add a skip connection at full resolution, which passes fine detail to the last
            layer. The reference recipe has none.
        residual: whether the output is the image plus twice the network's output, clamped to [-1, 1], instead of the
            network's output itself, as in the reference recipe.

    Attributes:
        size_multiple: both sides of the input must be multiples of it.
        feature_channels: number of channels of each output of :meth:`features`.

    Raises:
        ValueError: an argument is out of range, or an input's sides do not fit the depth.

    Reference:
        Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, appendix 6.1.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        base_channels: int = 64,
        depth: int = 8,
        dropout: float = 0.5,
        upsample: str = "transposed",
        full_resolution_skip: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"generator.depth: expected at least 2, got {depth}.")
        if residual and in_channels != out_channels:
            raise ValueError(
                f"generator.residual: expected as many channels in as out, got {in_channels} and {out_channels}."
            )
        self.depth, self.size_multiple, self.residual = depth, 2**depth, residual
        widths = [base_channels * min(2**level, 8) for level in range(depth)]
        self.feature_channels = [in_channels, *widths[:MAX_FEATURE_LEVELS]]
        self.downs = nn.ModuleList(
            _down(in_channels if level == 0 else widths[level - 1], widths[level], level, depth)
            for level in range(depth)
        )
        self.ups = nn.ModuleList(
            _up(
                in_channels=widths[level] * (1 if level == depth - 1 else 2),
                out_channels=widths[level - 1],
                mode=upsample,
                dropout=dropout if depth - 4 <= level - 1 < depth - 1 else 0.0,
            )
            for level in reversed(range(1, depth))
        )
        self.entry: nn.Sequential | None = None
        if full_resolution_skip:
            # Normalized: otherwise its features would be too small next to the last decoder level's to matter early on.
            self.entry = nn.Sequential(
                nn.Conv2d(in_channels, base_channels, 3, padding=1, bias=False), nn.InstanceNorm2d(base_channels)
            )
            self.ups.append(_up(2 * widths[0], base_channels, upsample, dropout=0.0))
            self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * base_channels, out_channels, 3, padding=1), nn.Tanh())
        else:
            self.last = nn.Sequential(nn.ReLU(), _up_convolution(2 * widths[0], out_channels, upsample), nn.Tanh())
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Translate images.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of ``2 ** depth``.

        Returns:
            (B, out_channels, H, W), in [-1, 1].
        """
        require_sides(image, self.size_multiple, f"U-Net of depth {self.depth}")
        skips = [] if self.entry is None else [self.entry(image)]
        *levels, x = self._encode(image, self.depth)
        skips += levels
        for up in self.ups:
            x = torch.cat([up(x), skips.pop()], dim=1)
        output = self.last(x)
        return (image + 2 * output).clamp(-1, 1) if self.residual else output

    def features(self, image: Tensor) -> list[Tensor]:
        """Encoder features of images, from fine to coarse; the decoder is not computed.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of ``2 ** depth``.

        Returns:
            The image itself, then the outputs of the first encoder levels, at most four: (B, C, H / 2, W / 2) and so
            on, with at least 2×2 positions.

        Raises:
            ValueError: the sides are not multiples, or a level would have a single position.
        """
        num_levels = len(self.feature_channels) - 1
        name = f"features of a U-Net of depth {self.depth}"
        require_sides(image, self.size_multiple, name, smallest=2 ** (num_levels + 1))
        return [image, *self._encode(image, num_levels)]

    def _encode(self, image: Tensor, num_levels: int) -> list[Tensor]:
        """Outputs of the first encoder levels."""
        levels, x = [], image
        for down in list(self.downs)[:num_levels]:
            x = down(x)
            levels.append(x)
        return levels


def _down(in_channels: int, out_channels: int, level: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(0.2)]
    layers.append(downsample(in_channels, out_channels))
    if 0 < level < depth - 1:
        layers.append(nn.InstanceNorm2d(out_channels))
    return nn.Sequential(*layers)


def _up(in_channels: int, out_channels: int, mode: str, dropout: float) -> nn.Sequential:
    layers = [nn.ReLU(), upsample(in_channels, out_channels, mode), nn.InstanceNorm2d(out_channels)]
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _up_convolution(in_channels: int, out_channels: int, mode: str) -> nn.Module:
    convolution = upsample(in_channels, out_channels, mode)
    # No normalization follows the last layer, so it needs a bias.
    last = convolution if isinstance(convolution, nn.ConvTranspose2d) else convolution[-1]  # type: ignore[index]
    last.bias = nn.Parameter(torch.zeros(out_channels))
    return convolution
