"""Minibatch standard deviation: how much the images of a batch differ, as an extra channel."""

import torch
from torch import Tensor, nn

# Far below the usual variation of features. Without it, the square root would have infinite derivatives where images
# agree, as in the background, and the gradient of a gradient penalty would be NaN.
SOFTENING = 0.01


class MinibatchStdev(nn.Module):
    """Appends one channel: the standard deviation over the batch, averaged over features and positions.

    Each standard deviation s is replaced by √(s² + 0.01²) − 0.01, which is smooth where images agree.

    It shows a discriminator whether fakes vary less than real images, which a single image cannot. All images of a
    batch get the same value, so real images and fakes must not share a batch. At batch size 1 the channel is 0 and
    carries no information.

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
