"""Neighbouring slices as channels (2.5-D), and the slice that counts.

A slice alone does not show where a dark spot is a vessel that passes through and where it is a lesion, and slices
translated one by one flicker when they are stacked. With ``data.num_adjacent_slices=k`` networks therefore see 2k + 1
neighbours as channels. In training generators map whole stacks to whole stacks: only then can the cycle close, which
needs as many slices on the way back, and can the discriminators see whether neighbours of a fake fit each other. In
use only the centre slice counts, the one with all its neighbours around it: metrics, pictures and translation take it
alone. With k = 0 a stack is a slice.
"""

from torch import Tensor, nn


def centre_slice(stack: Tensor) -> Tensor:
    """The middle one of an odd number of channels, (B, 2k + 1, H, W) to (B, 1, H, W)."""
    centre = stack.shape[1] // 2
    return stack[:, centre : centre + 1]


class CentreSliceOf(nn.Module):
    """A network that maps stacks to stacks, for use: it gives the centre slice alone.

    Args:
        network: (B, 2k + 1, H, W) to the same.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def size_multiple(self) -> int:
        """Of the network: what both sides must be multiples of."""
        return self.network.size_multiple  # type: ignore[return-value]

    @property
    def is_bound_to_size(self) -> bool:
        """Of the network: whether it is, once exported."""
        return getattr(self.network, "is_bound_to_size", False)

    @property
    def depends_on_size(self) -> bool:
        """Of the network: whether it is to see images of one size only."""
        return getattr(self.network, "depends_on_size", False)

    def forward(self, stack: Tensor) -> Tensor:
        """(B, 2k + 1, H, W) to (B, 1, H, W)."""
        return centre_slice(self.network(stack))
