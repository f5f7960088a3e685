"""Learning-rate schedule."""

from collections.abc import Callable


def constant_then_linear(num_epochs: int, constant_share: float) -> Callable[[int], float]:
    """Factor on the learning rate: 1 for the first epochs, then straight down towards 0.

    The factor is above 0 in the last epoch and would be 0 in the one after it, so every epoch trains.

    Args:
        num_epochs: length of the training.
        constant_share: share of ``num_epochs`` at factor 1, in [0, 1].

    Returns:
        Function of the epoch (0-based) for :class:`torch.optim.lr_scheduler.LambdaLR`.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Zhu et al., ICCV 2017, section 4: 100 epochs constant, 100 epochs to zero.

    >>> schedule = constant_then_linear(num_epochs=4, constant_share=0.5)
    >>> [round(schedule(epoch), 3) for epoch in range(5)]
    [1.0, 1.0, 0.667, 0.333, 0.0]
    """
    if num_epochs < 1:
        raise ValueError(f"trainer.max_epochs: expected at least 1, got {num_epochs}: the schedule needs an end.")
    if not 0 <= constant_share <= 1:
        raise ValueError(f"model.constant_share: expected a share in [0, 1], got {constant_share}.")
    constant_epochs = round(num_epochs * constant_share)

    def factor(epoch: int) -> float:
        past = max(0, epoch - constant_epochs + 1)
        return max(0.0, 1.0 - past / (num_epochs - constant_epochs + 1))

    return factor
