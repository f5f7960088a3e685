"""Contrastive loss that ties each patch of a translated image to its source patch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchNCE(nn.Module):
    """Cross-entropy of identifying a patch's own source among other patches of the same source image.

    Both images are encoded by a generator's ``features``: the source, and the image translated from it. In each layer
    a small network, trained with the generator, projects the features before they are compared.

    Args:
        channels: number of channels of each layer, the generator's ``feature_channels``.
        num_patches: positions compared in each layer; all of them if a layer has fewer.
        width: size of the projected features.
        temperature: divides the similarities, which are in [-1, 1].

    Raises:
        ValueError: ``num_patches`` is less than 2, which leaves no other patch to compare with.

    Reference:
        Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020, sections 3.1 and 3.2.
    """

    def __init__(self, channels: Sequence[int], num_patches: int, width: int = 256, temperature: float = 0.07) -> None:
        super().__init__()
        if num_patches < 2:
            raise ValueError(f"extra_loss.nce.num_patches: expected at least 2, got {num_patches}.")
        self.num_patches, self.temperature = num_patches, temperature
        # PyTorch's random bias initialization stays: with zero biases, normalizing to length 1 would reduce a single
        # pixel's gray value to its sign.
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )

    def forward(self, features_of_output: list[Tensor], features_of_source: list[Tensor]) -> Tensor:
        """Compare a batch of translated images with their source images.

        Positions are drawn anew, from PyTorch's global generator. The source side gets no gradient.

        Args:
            features_of_output: of the translated images, (B, C, H, W) for each layer.
            features_of_source: of their source images, same shapes.

        Returns:
            Scalar, at least 0: mean over layers, images and patches. If patches are indistinguishable, it is the
            logarithm of their number.
        """
        layers = zip(self.projections, features_of_output, features_of_source, strict=True)
        return torch.stack([self._layer_loss(*layer) for layer in layers]).mean()

    def _layer_loss(self, projection: nn.Module, output: Tensor, source: Tensor) -> Tensor:
        # Drawn on the host, so that a seed gives the same positions on every device.
        positions = torch.randperm(output[0, 0].numel(), device="cpu")[: self.num_patches].to(output.device)
        # Similarities a few hundredths apart, divided by the temperature, need more digits than bfloat16 has.
        with torch.autocast(output.device.type, enabled=False):
            queries = _patches(projection, output, positions)
            with torch.no_grad():
                keys = _patches(projection, source, positions)
            logits = queries @ keys.transpose(1, 2) / self.temperature  # (B, N, N)
            own = torch.arange(len(positions), device=logits.device).expand(len(logits), -1)
            return functional.cross_entropy(logits.flatten(0, 1), own.flatten())


def _patches(projection: nn.Module, features: Tensor, positions: Tensor) -> Tensor:
    """Projected features at N positions, normalized to length 1: (B, C, H, W) to (B, N, width)."""
    patches = features.flatten(2)[:, :, positions].transpose(1, 2)
    return functional.normalize(projection(patches.to(next(projection.parameters()).dtype)), dim=-1)
