"""PatchGAN discriminator."""

from itertools import pairwise

from torch import Tensor, nn

from mri_cyclegan.networks.blocks import init_normal


class PatchGAN(nn.Module):
    """Judges every overlapping patch of an image on its own; with three layers the patch is 70×70 pixels.

    Args:
        in_channels: channels of the image.
        base_channels: channels after the first layer; they double up to eight times that.
        num_layers: stride-2 layers. The patch is 16, 34, 70, 142 pixels for 1, 2, 3, 4 layers.

    Reference:
        Isola et al., CVPR 2017, appendix 6.1.2; Zhu et al., ICCV 2017, section 7.2 (instance normalization).
    """

    def __init__(self, in_channels: int, base_channels: int, num_layers: int) -> None:
        super().__init__()
        widths = [base_channels * min(2**layer, 8) for layer in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer, (narrow, wide) in enumerate(pairwise(widths), start=1):
            stride = 2 if layer < num_layers else 1
            layers += [
                nn.Conv2d(narrow, wide, 4, stride=stride, padding=1, bias=False),
                nn.InstanceNorm2d(wide),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1))
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Score patches.

        Args:
            image: (B, in_channels, H, W), in [-1, 1].

        Returns:
            (B, 1, h, w) logits, one a patch: high for real. 256×256 gives 30×30 with three layers.
        """
        return self.layers(image)
