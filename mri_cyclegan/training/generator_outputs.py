"""Outputs of both generators for one batch."""

from typing import NamedTuple

from torch import Tensor


class GeneratorOutputs(NamedTuple):
    """Images from steps 1 to 3, each (B, C, H, W), in [-1, 1]."""

    fake_b: Tensor
    cycled_a: Tensor
    fake_a: Tensor
    cycled_b: Tensor
    identity_b: Tensor
    identity_a: Tensor
