"""Learning-rate schedules."""

import math
from collections.abc import Callable

SCHEDULES = ("linear", "cosine")


def constant_then_falling(num_epochs: int, constant_share: float, schedule: str) -> Callable[[int], float]:
    """Factor on the learning rate: 1 for the first epochs, then falling towards 0.

    The factor is above 0 in the last epoch and would be 0 in the one after it, so every epoch trains.

    Args:
        num_epochs: number of epochs of the run.
        constant_share: share of ``num_epochs`` at factor 1, in [0, 1].
        schedule: how it falls, ``"linear"`` or ``"cosine"`` (half a period).

    Returns:
        Function of the epoch (0-based) for :class:`torch.optim.lr_scheduler.LambdaLR`.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Zhu et al., ICCV 2017, section 4: 100 epochs constant, 100 epochs straight to zero; Loshchilov and Hutter,
        "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. 5 (cosine).

    >>> linear = constant_then_falling(num_epochs=4, constant_share=0.5, schedule="linear")
    >>> [round(linear(epoch), 3) for epoch in range(5)]
    [1.0, 1.0, 0.667, 0.333, 0.0]
    >>> cosine = constant_then_falling(num_epochs=3, constant_share=0.0, schedule="cosine")
    >>> [round(cosine(epoch), 3) for epoch in range(4)]
    [0.854, 0.5, 0.146, 0.0]
    """
    if num_epochs < 1:
        raise ValueError(f"trainer.max_epochs: expected at least 1, got {num_epochs}: the schedule needs an end.")
    if not 0 <= constant_share <= 1:
        raise ValueError(f"optimization.constant_share: expected a share in [0, 1], got {constant_share}.")
    if schedule not in SCHEDULES:
        raise ValueError(f"optimization.schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}.")
    constant_epochs = round(num_epochs * constant_share)

    def factor(epoch: int) -> float:
        past = max(0, epoch - constant_epochs + 1)
        left = max(0.0, 1.0 - past / (num_epochs - constant_epochs + 1))
        return left if schedule == "linear" else (1 - math.cos(math.pi * left)) / 2

    return factor
