"""Networks built on MONAI: generators and a registration network."""

import torch
from monai.networks.nets import AttentionUnet as MonaiAttentionUnet
from monai.networks.nets import SwinUNETR as MonaiSwinUNETR
from monai.networks.nets import VoxelMorphUNet
from torch import Tensor, nn
from torch.nn import functional

from mri_cyclegan.networks.blocks import require_sides

# Wider than any published Swin UNETR, but still small enough for memory.
MAX_FEATURES = 96


class AttentionUNet(nn.Module):
    """MONAI's attention U-Net, whose skip connections are gated by features of the level below.

    MONAI uses batch normalization, which in a batch of one or two mixes subjects and makes a pass over fakes differ
    from a pass over real images. It is replaced by instance normalization with learned scale and shift.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        base_channels: channels at full resolution; they double at every level.
        depth: number of halvings; both sides of the input must be multiples of ``2 ** depth``, and larger than it.

    Reference:
        Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1, base_channels: int = 32, depth: int = 4) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"generator.depth: expected at least 1, got {depth}.")
        self.size_multiple = 2**depth
        channels = [base_channels * 2**level for level in range(depth + 1)]
        self.network = MonaiAttentionUnet(2, in_channels, out_channels, channels, [2] * depth)
        _replace_batch_norm(self.network)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1]; sides multiples of 2 ** depth."""
        require_sides(image, self.size_multiple, "attention U-Net")
        return torch.tanh(self.network(image))


class SwinUNETR(nn.Module):
    """MONAI's Swin UNETR: a shifted-window transformer encoder with a convolutional decoder.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        features: channels of the first level, a multiple of 12, at most 96; the paper uses 48.

    Reference:
        Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images",
        BrainLes 2021.
    """

    size_multiple = 32
    depends_on_size = True  # it determines the number and position of the windows
    has_fixed_export_size = True  # after export: the number of windows is fixed when the graph is traced

    def __init__(self, in_channels: int = 1, out_channels: int = 1, features: int = 24) -> None:
        super().__init__()
        if not 0 < features <= MAX_FEATURES or features % 12:
            raise ValueError(f"generator.features: expected a multiple of 12, at most {MAX_FEATURES}, got {features}.")
        wanted = torch.get_default_device()
        with torch.device("cpu"):  # its constructor reads tensor values, which the meta device does not have
            network = MonaiSwinUNETR(in_channels, out_channels, feature_size=features, spatial_dims=2)
        self.network = network.to(wanted)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1]; sides multiples of 32, from 64."""
        require_sides(image, self.size_multiple, "Swin UNETR", smallest=64)
        return torch.tanh(self.network(image))


class RegistrationUNet(nn.Module):
    """MONAI's VoxelMorph U-Net: registers a moving image to a fixed one.

    Its initial displacement is almost 0, so that training starts as if without registration.

    Args:
        in_channels: channels of each image.
        base_channels: channels at full resolution; twice as many below. VoxelMorph uses 16.
        depth: number of halvings; both sides of the input must be multiples of ``2 ** depth``.

    Reference:
        Kong et al., "Breaking the dilemma of medical image-to-image translation", NeurIPS 2021, section 3.2;
        Balakrishnan et al., "VoxelMorph: a learning framework for deformable medical image registration", IEEE TMI
        2019, section III.
    """

    def __init__(self, in_channels: int = 1, base_channels: int = 16, depth: int = 4) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"extra_loss.paired.registration_*.depth: expected at least 1, got {depth}.")
        self.depth, self.size_multiple = depth, 2**depth
        width = 2 * base_channels
        channels = [base_channels, *[width] * (2 * depth - 1)]
        self.network = VoxelMorphUNet(2, 2 * in_channels, width, channels, [base_channels] * 2)
        last = [module for module in self.network.modules() if isinstance(module, nn.Conv2d)][-1]
        assert last.bias is not None
        nn.init.normal_(last.weight, std=1e-5)  # not 0, or no other layer would get a gradient in the first batch
        nn.init.zeros_(last.bias)

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Register images.

        Args:
            moving: (B, in_channels, H, W), in [-1, 1]; H and W multiples of ``2 ** depth``.
            fixed: same shape and range.

        Returns:
            The moving images registered to the fixed ones, (B, in_channels, H, W), in [-1, 1], and the displacement,
            (B, 2, H, W), see :func:`warp`; both at least in float32 even under autocast.
        """
        require_sides(moving, self.size_multiple, f"registration network of depth {self.depth}")
        displacement = self.network(torch.cat([moving, fixed], dim=1))
        # In bfloat16, positions near 256 have no fractional digits.
        displacement = displacement.to(torch.promote_types(displacement.dtype, torch.float32))
        return warp(moving, displacement), displacement


def warp(image: Tensor, displacement: Tensor) -> Tensor:
    """Resample an image at displaced positions, with bilinear interpolation and border padding.

    Not MONAI's ``Warp``, which caches its grid at the first batch and does not move it with the network's device.

    Args:
        image: (B, C, H, W).
        displacement: (B, 2, H, W), from each pixel to the position it is sampled from, (rows, columns) in pixels.

    Returns:
        (B, C, H, W), with the dtype of ``displacement``.
    """
    height, width = image.shape[-2:]
    row, column = displacement.unbind(1)
    row = row + torch.arange(height, device=row.device)[:, None]
    column = column + torch.arange(width, device=row.device)
    # The center of the first pixel is at -1, that of the last at 1.
    grid = torch.stack([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1], dim=-1)
    image = image.to(displacement.dtype)
    # On a CPU, grid_sample reads out of bounds at NaN positions. The sum below still makes the result NaN.
    grid = grid.nan_to_num()
    moved = functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return moved + 0 * displacement.sum()


def _replace_batch_norm(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, nn.InstanceNorm2d(norm.num_features, affine=True))
