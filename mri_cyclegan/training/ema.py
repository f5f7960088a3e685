"""Exponential moving average of a generator's weights."""

import copy

import torch
from torch import Tensor, nn


class AveragedNetwork(nn.Module):
    """Copy of a network whose weights are a moving average of the original's; it is never trained itself.

    The decay starts lower, min(decay, (1 + n) / (warmup + n)) after n updates, so that the random initial weights do
    not linger. Unlike :class:`torch.optim.swa_utils.AveragedModel` it counts its updates on the host, so an update
    never waits for the device.

    Args:
        network: the trained network, which is copied.
        decay: share of the old average kept at each update, in [0, 1).
        warmup: the larger, the faster the average follows at first; at 1 it is slow from the start.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Yazıcı et al., "The unusual effectiveness of averaging in GAN training", ICLR 2019.
    """

    def __init__(self, network: nn.Module, decay: float, warmup: int) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(
                f"optimization.ema_decay: expected a share in [0, 1), or null for no average; got {decay}."
            )
        if warmup < 1:
            raise ValueError(f"optimization.ema_warmup: expected 1 or more, got {warmup}.")
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay, self.warmup = decay, warmup
        self.num_updates = 0

    def forward(self, image: Tensor) -> Tensor:
        """Apply the averaged network; same shapes as the original."""
        return self.network(image)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the weights of ``network``."""
        decay = min(self.decay, (1 + self.num_updates) / (self.warmup + self.num_updates))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        for average, current in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(current)
        self.num_updates += 1

    def get_extra_state(self) -> int:
        """Number of updates so far, for the checkpoint."""
        return self.num_updates

    def set_extra_state(self, state: int) -> None:
        """Restore the number of updates from a checkpoint."""
        self.num_updates = state
