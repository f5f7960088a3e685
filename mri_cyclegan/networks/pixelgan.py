"""PixelGAN discriminator."""

from torch import Tensor, nn

from mri_cyclegan.networks.blocks import init_normal
from mri_cyclegan.networks.minibatch_stdev import MinibatchStdev
from mri_cyclegan.networks.spectral import normalize_spectra


class PixelGAN(nn.Module):
    """Scores every pixel by its gray value alone: all convolutions are 1×1.

    Only instance normalization, which covers the whole image, relates a pixel to the rest of its image.

    Args:
        in_channels: channels of the image.
        base_channels: channels after the first layer; twice that after the second.
        spectral_norm: as in :class:`mri_cyclegan.networks.patchgan.PatchGAN`.
        minibatch_stdev: as in :class:`mri_cyclegan.networks.patchgan.PatchGAN`.

    Reference:
        Isola et al., CVPR 2017, section 4.4 and appendix 6.1.2.
    """

    def __init__(
        self, in_channels: int = 1, base_channels: int = 64, spectral_norm: bool = False, minibatch_stdev: bool = False
    ) -> None:
        super().__init__()
        self.batch_independent = not (spectral_norm or minibatch_stdev)
        width = 2 * base_channels
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, base_channels, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(base_channels, width, 1, bias=spectral_norm),
        ]
        if not spectral_norm:
            layers.append(nn.InstanceNorm2d(width))
        layers.append(nn.LeakyReLU(0.2))
        if minibatch_stdev:
            layers.append(MinibatchStdev())
        layers.append(nn.Conv2d(width + minibatch_stdev, 1, 1))
        self.layers = nn.Sequential(*layers)
        init_normal(self)
        if spectral_norm:
            normalize_spectra(self)

    def forward(self, image: Tensor) -> Tensor:
        """Score pixels.

        Args:
            image: (B, in_channels, H, W), in [-1, 1].

        Returns:
            (B, 1, H, W) logits, one per pixel: high for real.
        """
        return self.layers(image)
