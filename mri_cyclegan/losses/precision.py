"""Losses that need more digits than mixed-precision training gives them."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def full_precision(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run a loss without autocast, on images in float32; float64 stays.

    Variances as differences of squares, and gradients of gradients, are noise in the 8 binary digits of bfloat16.

    Args:
        loss: a function of images, and of whatever else; at least one argument is a tensor.
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
