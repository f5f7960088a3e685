"""Export a network with ``torch.export``: its graph and weights, without this package's code."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.fx.experimental import _config

METADATA_FILE = "facts.json"


def write_torch_program(
    network: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, str], dynamic_axes: Sequence[int]
) -> None:
    """Write a network to a ``torch.export`` file with dynamic input ``dynamic_axes``."""
    sizes = (dict.fromkeys(dynamic_axes, Dim.DYNAMIC),)
    # Without this the graph rejects dynamic sizes of 1, as in a batch of one image or the innermost feature map of the
    # smallest image. torch.onnx.export does the same.
    with torch.no_grad(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(network, (example,), dynamic_shapes=sizes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains local paths
    torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(metadata, ensure_ascii=False)})


def load_torch_program(path: Path) -> Callable[[Tensor], Tensor]:
    """Load an exported program; only from trusted files, since PyTorch unpickles parts of them."""
    program = torch.export.load(path).module()

    def checked(image: Tensor) -> Tensor:
        try:
            return program(image)  # this kind of module has no eval()
        except AssertionError as error:  # a guard failed: the graph depends on a size that should be dynamic
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{path.name}: torch.export binds this network to a size ({reason}). Take another format."
            ) from error

    return checked
