"""Weights of the generators' losses over the epochs."""

from collections.abc import Mapping


class Weights:
    """What each loss of the generators counts; some fade.

    Args:
        fades: loss to the share of the epochs, in (0, 1], over which its weight falls straight to 0; None where it
            stays.
        weights: of each loss, at the start.

    Raises:
        ValueError: a weight is negative, a share is out of range, or a loss to fade is unknown.

    >>> weights = Weights({"identity": 0.5}, cycle=10.0, identity=4.0)
    >>> [weights.at(epoch, num_epochs=4)["identity"] for epoch in range(4)]
    [4.0, 2.0, 0.0, 0.0]
    """

    def __init__(self, fades: Mapping[str, float | None], **weights: float) -> None:
        for name, weight in weights.items():
            require_weight(f"model.lambda_{name}", weight)
        for name, share in fades.items():
            if name not in weights:
                raise ValueError(f"model.fades.{name}: unknown; expected one of {', '.join(weights)}.")
            if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
                raise ValueError(
                    f"model.fades.{name}: expected a share of the epochs in (0, 1], or null for no fading; got {share}."
                )
        self.weights = weights
        self.fades = {name: share for name, share in fades.items() if share is not None}

    def at(self, epoch: int, num_epochs: int) -> dict[str, float]:
        """Weights in an epoch, counted from 0."""
        left = {name: max(0.0, 1 - epoch / (share * num_epochs)) for name, share in self.fades.items()}
        return {name: weight * left.get(name, 1.0) for name, weight in self.weights.items()}


def require_weight(key: str, value: float) -> None:
    """Refuse what is no number from 0 on.

    Raises:
        ValueError: the message names the key.
    """
    if not (isinstance(value, int | float) and value >= 0):
        raise ValueError(f"{key}: expected 0 or more, got {value!r}.")
