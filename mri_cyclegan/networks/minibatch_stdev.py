"""How much the images of a batch differ, as a feature of each."""

import torch
from torch import Tensor, nn

# Features vary by much more. Without it a root would bend without end where images agree, as in the background: the
# gradient of a gradient penalty would be NaN.
SOFTENING = 0.01


class MinibatchStdev(nn.Module):
    """Appends one channel: the standard deviation of each feature at each place over the batch, averaged.

    Of a standard deviation s it is √(s² + 0.01²) − 0.01, which is smooth where images agree.

    A discriminator sees from it whether fakes vary less than real images do, which one image cannot show. All images
    of a batch get the same number, so reals and fakes must not share a batch. One image alone does not vary: at batch
    size 1 the channel is 0 and teaches nothing.

    Reference:
        Karras et al., "Progressive growing of GANs", ICLR 2018, section 3.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Append the channel.

        Args:
            features: (B, C, H, W), of any range.

        Returns:
            (B, C + 1, H, W).
        """
        variance = features.var(dim=0, correction=0)
        stdev = ((variance + SOFTENING**2).sqrt() - SOFTENING).mean()
        return torch.cat([features, stdev.expand_as(features[:, :1])], dim=1)
