"""PatchGAN discriminator."""

from itertools import pairwise

from torch import Tensor, nn

from mri_cyclegan.networks.blocks import init_normal
from mri_cyclegan.networks.minibatch_stdev import MinibatchStdev
from mri_cyclegan.networks.spectral import normalize_spectra


class PatchGAN(nn.Module):
    """Scores overlapping patches of an image; with three layers a patch is 70×70 pixels.

    Args:
        in_channels: channels of the image.
        base_channels: channels after the first layer; they double at each layer, up to eight times that.
        num_layers: stride-2 layers. The patch is 16, 34, 70, 142, 286 pixels for 1, 2, 3, 4, 5 layers.
        spectral_norm: whether to use spectral normalization of every convolution instead of instance normalization,
            which would undo its bound by rescaling.
        minibatch_stdev: whether to give the last layer the variation over the batch, see
            :class:`mri_cyclegan.networks.minibatch_stdev.MinibatchStdev`.

    Raises:
        ValueError: ``num_layers`` is out of range, or an input is too small for it.

    Reference:
        Isola et al., CVPR 2017, appendix 6.1.2; Zhu et al., ICCV 2017, section 7.2 (instance normalization);
        Miyato et al., ICLR 2018 (spectral normalization without any other).
    """

    def __init__(
        self,
        in_channels: int = 1,
        base_channels: int = 64,
        num_layers: int = 3,
        spectral_norm: bool = False,
        minibatch_stdev: bool = False,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"discriminator.num_layers: expected at least 1, got {num_layers}.")
        self.smallest_side = 3 * 2**num_layers
        self.batch_independent = not (spectral_norm or minibatch_stdev)
        widths = [base_channels * min(2**layer, 8) for layer in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer, (narrow, wide) in enumerate(pairwise(widths), start=1):
            stride = 2 if layer < num_layers else 1
            layers.append(nn.Conv2d(narrow, wide, 4, stride=stride, padding=1, bias=spectral_norm))
            if not spectral_norm:
                layers.append(nn.InstanceNorm2d(wide))
            layers.append(nn.LeakyReLU(0.2))
        if minibatch_stdev:
            layers.append(MinibatchStdev())
        layers.append(nn.Conv2d(widths[-1] + minibatch_stdev, 1, 4, stride=1, padding=1))
        self.layers = nn.Sequential(*layers)
        init_normal(self)
        if spectral_norm:
            normalize_spectra(self)

    def forward(self, image: Tensor) -> Tensor:
        """Score patches.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W at least ``smallest_side``, which is
                ``3 * 2 ** num_layers``.

        Returns:
            (B, 1, h, w) logits, one per patch: high for real. 256×256 gives 30×30 with three layers.
        """
        if min(image.shape[-2:]) < self.smallest_side:
            raise ValueError(
                f"PatchGAN: expected sides of at least {self.smallest_side}, got {tuple(image.shape[-2:])}. "
                "Raise data.image_size, or lower discriminator.num_layers or, where there are several scales, "
                "discriminator.num_scales."
            )
        return self.layers(image)
