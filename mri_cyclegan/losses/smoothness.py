"""Smoothness loss of a displacement field."""

from torch import Tensor


def smoothness_loss(displacement: Tensor) -> Tensor:
    """Mean squared difference between displacements of neighboring pixels, along rows plus along columns.

    It uses forward differences: central differences would miss a displacement that alternates from pixel to pixel.

    Args:
        displacement: (B, 2, H, W), in pixels; H and W at least 2.

    Returns:
        Scalar, at least 0; 0 for a shift of the whole image. Mean over pixels and the two components.

    Reference:
        Kong et al., "Breaking the dilemma of medical image-to-image translation", NeurIPS 2021, section 3.2;
        Balakrishnan et al., "VoxelMorph: a learning framework for deformable medical image registration", IEEE TMI
        2019, section III.
    """
    along_rows, along_columns = displacement.diff(dim=-1), displacement.diff(dim=-2)
    return along_rows.square().mean() + along_columns.square().mean()
