"""Generators that are networks of MONAI."""

import torch
from monai.networks.nets import AttentionUnet as MonaiAttentionUnet
from monai.networks.nets import SwinUNETR as MonaiSwinUNETR
from torch import Tensor, nn

from mri_cyclegan.networks.blocks import require_sides

# Wider than any published one, and no danger to the memory.
MAX_FEATURES = 96


class AttentionUNet(nn.Module):
    """MONAI's attention U-Net, whose skip connections are weighed by what lies below them.

    MONAI normalizes over the batch, which in a batch of one or two mixes subjects and makes a pass over fakes differ
    from one over reals: each of these norms is replaced by instance normalization with weights of its own.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        base_channels: channels at full resolution; they double at every level.
        depth: number of halvings; both sides of the input must be multiples of ``2 ** depth``, and above that.

    Reference:
        Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018.
    """

    def __init__(self, in_channels: int, out_channels: int, base_channels: int, depth: int) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"generator.depth: expected at least 1, got {depth}.")
        self.size_multiple = 2**depth
        channels = [base_channels * 2**level for level in range(depth + 1)]
        self.network = MonaiAttentionUnet(2, in_channels, out_channels, channels, [2] * depth)
        _normalize_instances(self.network)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1]; sides multiples of 2 ** depth."""
        require_sides(image, self.size_multiple, "attention U-Net")
        return torch.tanh(self.network(image))


class SwinUNETR(nn.Module):
    """MONAI's Swin UNETR: a transformer with shifted windows as encoder, convolutions as decoder.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        features: of the first level, a multiple of 12, at most 96; the paper has 48.

    Reference:
        Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images",
        BrainLes 2021.
    """

    size_multiple = 32
    is_bound_to_size = True  # once it is exported: windows are counted while its graph is made

    def __init__(self, in_channels: int, out_channels: int, features: int) -> None:
        super().__init__()
        if not 0 < features <= MAX_FEATURES or features % 12:
            raise ValueError(f"generator.features: expected a multiple of 12, at most {MAX_FEATURES}, got {features}.")
        wanted = torch.get_default_device()
        with torch.device("cpu"):  # it reads numbers while it is built, which a device without memory has not
            network = MonaiSwinUNETR(in_channels, out_channels, feature_size=features, spatial_dims=2)
        self.network = network.to(wanted)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1]; sides multiples of 32, from 64."""
        require_sides(image, self.size_multiple, "Swin UNETR", smallest=64)
        return torch.tanh(self.network(image))


def _normalize_instances(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, nn.InstanceNorm2d(norm.num_features, affine=True))
