"""Weights of the generators' losses in each epoch."""

from collections.abc import Mapping

from mri_cyclegan.training.argument_checks import require_decay, require_non_negative

# Generator losses of the reference recipe.
REFERENCE_LOSSES = ("adversarial", "cycle", "identity")


class LossWeights:
    """Weights of the reference recipe's losses; the cycle and identity weights may decay.

    Args:
        adversarial: weight of both adversarial losses.
        cycle: weight of both cycle losses.
        identity: weight of both identity losses.
        decay: maps ``cycle`` and ``identity`` to the share of the epochs, in (0, 1], over which the weight falls
            linearly to 0; None for a constant weight.

    Raises:
        ValueError: a weight is negative, a share is out of range, or a name is unknown.

    >>> weights = LossWeights(adversarial=1.0, cycle=10.0, identity=4.0, decay={"identity": 0.5})
    >>> [weights.at(epoch, num_epochs=4)["identity"] for epoch in range(4)]
    [4.0, 2.0, 0.0, 0.0]
    """

    def __init__(self, adversarial: float, cycle: float, identity: float, decay: Mapping[str, float | None]) -> None:
        self.initial = dict(zip(REFERENCE_LOSSES, (adversarial, cycle, identity), strict=True))
        for name, weight in self.initial.items():
            require_non_negative(f"model.lambda_{name}", weight)
        for name, share in decay.items():
            if name not in ("cycle", "identity"):
                raise ValueError(f"model.decay.{name}: unknown; expected cycle or identity.")
            require_decay(f"model.decay.{name}", share)
        self.decay = dict(decay)

    def at(self, epoch: int, num_epochs: int) -> dict[str, float]:
        """All weights in an epoch (0-based)."""
        return {name: decayed(weight, self.decay.get(name), epoch, num_epochs) for name, weight in self.initial.items()}


def decayed(weight: float, decay: float | None, epoch: int, num_epochs: int) -> float:
    """Weight of a loss in one epoch.

    Args:
        weight: weight in the first epoch.
        decay: share of the epochs over which it falls linearly to 0, or None for a constant weight.
        epoch: 0-based.
        num_epochs: number of epochs of the run.
    """
    return weight if decay is None else weight * max(0.0, 1 - epoch / (decay * num_epochs))
