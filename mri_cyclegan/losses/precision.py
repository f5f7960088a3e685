"""Full precision for losses that mixed precision would make inaccurate."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def full_precision(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Decorate a loss to run without autocast, on tensors cast to float32; float64 stays.

    Variances computed as differences of squares, and second derivatives, are noise at bfloat16's 8 bits of precision.

    Args:
        loss: function with any arguments, at least one of them a tensor.
    """

    @functools.wraps(loss)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        device = next(value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(device.type, enabled=False):
            widened = {name: _widened(value) for name, value in kwargs.items()}
            return loss(*map(_widened, args), **widened)  # type: ignore[arg-type]

    return wrapped


def _widened(value: Any) -> Any:
    return value.to(torch.promote_types(value.dtype, torch.float32)) if isinstance(value, Tensor) else value
