"""A network as a file of ``torch.export``: its graph and weights, without this package's code."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.fx.experimental import _config

FACTS = "facts.json"


def write_torch_program(
    network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, str], axes: Sequence[int]
) -> None:
    """Write a network for any size of some axes of its input."""
    sizes = (dict.fromkeys(axes, Dim.DYNAMIC),)
    # Without this the graph forbids what is 1 somewhere: one image alone, or the innermost map of the smallest image.
    # torch.onnx.export does the same.
    with torch.no_grad(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(network, (example,), dynamic_shapes=sizes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    torch.export.save(program, path, extra_files={FACTS: json.dumps(facts, ensure_ascii=False)})


def load_torch_program(path: Path) -> Callable[[Tensor], Tensor]:
    """Open a file; only one of known origin, since PyTorch unpickles parts of it."""
    program = torch.export.load(path).module()

    def checked(image: Tensor) -> Tensor:
        try:
            return program(image)  # a module of its own kind, which has no eval()
        except AssertionError as error:  # a guard: the graph depends on a size that should have been free
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{path.name}: torch.export binds this network to a size ({reason}). Take another format."
            ) from error

    return checked
