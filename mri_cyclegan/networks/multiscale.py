"""Multi-scale discriminator."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mri_cyclegan.networks.patchgan import PatchGAN


class MultiScaleDiscriminator(nn.Module):
    """One PatchGAN per scale; each scale halves the image of the one before by average pooling.

    Fine scales score texture, coarse ones the whole head. Each scale is one channel of logits, upsampled to the size of
    the finest, so that the mean over all logits, which every adversarial loss takes, weights all scales equally, though
    coarse scales have fewer patches. pix2pixHD sums the scales; the mean keeps the adversarial loss in proportion to
    ``model.lambda_cycle`` for any number of scales.

    Args:
        in_channels: channels of the image.
        base_channels: of each PatchGAN, see :class:`mri_cyclegan.networks.patchgan.PatchGAN`.
        num_layers: of each PatchGAN; three layers on three scales give patches of 70, 141 and 283 image pixels.
        num_scales: number of PatchGANs.
        spectral_norm: of each PatchGAN.
        minibatch_stdev: of each PatchGAN.

    Raises:
        ValueError: an argument is out of range, or an input is too small for the coarsest scale.

    Reference:
        Wang et al., "High-resolution image synthesis and semantic manipulation with conditional GANs", CVPR 2018,
        section 3.2 (three scales).
    """

    def __init__(
        self,
        in_channels: int = 1,
        base_channels: int = 64,
        num_layers: int = 3,
        num_scales: int = 3,
        spectral_norm: bool = False,
        minibatch_stdev: bool = False,
    ) -> None:
        super().__init__()
        if num_scales < 1:
            raise ValueError(f"discriminator.num_scales: expected at least 1, got {num_scales}.")
        self.smallest_side = 3 * 2 ** (num_layers + num_scales - 1)
        self.batch_independent = not (spectral_norm or minibatch_stdev)
        self.scales = nn.ModuleList(
            PatchGAN(in_channels, base_channels, num_layers, spectral_norm, minibatch_stdev) for _ in range(num_scales)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Score patches at every scale.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W at least ``smallest_side``, which is
                ``3 * 2 ** (num_layers + num_scales - 1)``.

        Returns:
            (B, num_scales, h, w) logits, finest scale first: high for real. Coarse logits are upsampled to the finest
            scale (nearest neighbor). 256×256 gives 30×30 with three layers.
        """
        logits = []
        for discriminator in self.scales:
            logits.append(discriminator(image))
            image = functional.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
        finest = logits[0].shape[-2:]
        return torch.cat([functional.interpolate(scale, finest) for scale in logits], dim=1)
