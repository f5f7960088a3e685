"""A network as an ONNX file."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from mri_cyclegan.exporting.programs import INPUT, OUTPUT

AXES = {0: "batch", 2: "height", 3: "width"}


class ExactInstanceNorm(nn.Module):
    """Instance normalization that ONNX Runtime computes as exactly as PyTorch.

    Its own sums all pixels of a map one after the other in float32, which in a dark slice of 256 × 256 shifts outputs
    by up to 2e-4 of [-1, 1]. Sums of rows, and then of those, are right to 1e-6, and take half the time.

    Args:
        norm: the layer to compute, without running statistics.
    """

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        assert not norm.track_running_stats
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same, each map of mean 0 and variance 1, or as its weight and bias make it."""
        centred = image - _mean(image)
        normal = centred * torch.rsqrt(_mean(centred.square()) + self.eps)
        return normal if self.weight is None else normal * self.weight[:, None, None] + self.bias[:, None, None]


def _mean(image: Tensor) -> Tensor:
    return image.mean(3, keepdim=True).mean(2, keepdim=True)


def _with_exact_norms(network: nn.Module) -> nn.Module:
    """A copy of a network that computes the same."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, nn.InstanceNorm2d):
                setattr(parent, name, ExactInstanceNorm(norm))
    return network


def write_onnx(network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, str], axes: Sequence[int]) -> None:
    """Write a network for any size of some axes of its input; its weights lie in the file itself, up to 2 GB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            _with_exact_norms(network),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({axis: AXES[axis] for axis in axes},),
            verbose=False,
        )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # they hold paths of this machine
    program.model.metadata_props.update(facts)
    program.save(path)


def load_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """Check a file by the standard and open it in ONNX Runtime, on the CPU.

    Raises:
        ValueError: the file breaks the standard.
    """
    try:
        onnx.checker.check_model(path, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"{path.name}: not as the ONNX standard asks ({error}).") from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy()})[0])
