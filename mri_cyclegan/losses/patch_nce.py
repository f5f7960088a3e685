"""Contrastive loss that ties each patch of a translated image to the patch it was made from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchNCE(nn.Module):
    """Cross-entropy of picking a patch's own source among other patches of the same source image.

    Features of both images are those a generator's ``features`` gives: that of the image it translated, and that of the
    image it made. A small network for each layer, which learns with the generator, says what of them counts.

    Args:
        channels: of each layer, a generator's ``feature_channels``.
        num_patches: positions compared in each layer; all of them in a layer that has fewer.
        width: of the features that are compared.
        temperature: by which similarities, in [-1, 1], are divided.

    Raises:
        ValueError: there are fewer than two patches, so that nothing can be picked.

    Reference:
        Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020, sections 3.1 and 3.2.
    """

    def __init__(self, channels: Sequence[int], num_patches: int, width: int = 256, temperature: float = 0.07) -> None:
        super().__init__()
        if num_patches < 2:
            raise ValueError(f"extra_loss.nce.num_patches: expected at least 2, got {num_patches}.")
        self.num_patches, self.temperature = num_patches, temperature
        # Their biases start at random, not at zero: without one, the grey value of a single pixel would leave nothing
        # but its sign when its features are set to length 1.
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )

    def forward(self, features_of_output: list[Tensor], features_of_source: list[Tensor]) -> Tensor:
        """Compare a batch of translated images with the images they were made from.

        Positions are drawn anew, from PyTorch's global generator. The source side gets no gradient.

        Args:
            features_of_output: of the translated images, (B, C, H, W) for each layer.
            features_of_source: of the images they were made from, likewise.

        Returns:
            Scalar, at least 0: mean over layers, images and patches. Where nothing tells patches apart it is the
            logarithm of their number.
        """
        layers = zip(self.projections, features_of_output, features_of_source, strict=True)
        return torch.stack([self._layer_loss(*layer) for layer in layers]).mean()

    def _layer_loss(self, projection: nn.Module, output: Tensor, source: Tensor) -> Tensor:
        # On the host, so that a seed gives the same positions on every device.
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
    """Projected features at N positions, of length 1: (B, C, H, W) to (B, N, width)."""
    patches = features.flatten(2)[:, :, positions].transpose(1, 2)
    return functional.normalize(projection(patches.to(next(projection.parameters()).dtype)), dim=-1)
