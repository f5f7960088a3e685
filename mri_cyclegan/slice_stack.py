"""Neighboring slices as channels (2.5-D), and the center slice.

A single slice does not show whether a dark spot is a passing vessel or a lesion, and slices translated one by one
flicker when they are stacked. With ``data.num_adjacent_slices=k`` networks therefore see 2k + 1 adjacent slices as
channels. In training, generators map whole stacks to whole stacks: the cycle needs as many slices on the way back,
and discriminators can only then see whether adjacent slices of a fake fit together. Metrics, pictures and translation
use the center slice alone, the one with all its neighbors around it. With k = 0 a stack is a single slice.
"""

from torch import Tensor, nn


def center_slice(stack: Tensor) -> Tensor:
    """The middle channel of an odd number, (B, 2k + 1, H, W) to (B, 1, H, W)."""
    center = stack.shape[1] // 2
    return stack[:, center : center + 1]


class CenterSliceNetwork(nn.Module):
    """Wraps a network that maps stacks to stacks, and returns only the center slice.

    Args:
        network: maps (B, 2k + 1, H, W) to the same shape.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def size_multiple(self) -> int:
        """The network's: height and width must be multiples of it."""
        return self.network.size_multiple  # type: ignore[return-value]

    @property
    def has_fixed_export_size(self) -> bool:
        """The network's: whether its exported graph works for one image size only."""
        return getattr(self.network, "has_fixed_export_size", False)

    @property
    def depends_on_size(self) -> bool:
        """The network's: whether its output depends on the image size, so that it should see one size only."""
        return getattr(self.network, "depends_on_size", False)

    def forward(self, stack: Tensor) -> Tensor:
        """(B, 2k + 1, H, W) to (B, 1, H, W)."""
        return center_slice(self.network(stack))
