"""Load the networks of a saved model from untrusted weights."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from mri_cyclegan.inference.description import FILE_NAME, Generator, ModelDescription
from mri_cyclegan.inference.read_description import safe_path
from mri_cyclegan.networks.registry import GENERATORS, generator_class
from mri_cyclegan.slice_stack import CenterSliceNetwork
from mri_cyclegan.text import terminal_safe
from mri_cyclegan.trusted_classes import DOTTED_NAME, is_trusted

# Ten times the parameters of the baseline, and a hundred times the size of its feature maps for one slice.
MAX_PARAMETERS = 5 * 10**8
MAX_MAP_BYTES = 2**32
MAX_WEIGHTS_BYTES = 4 * MAX_PARAMETERS + 2**20


class Networks(NamedTuple):
    """The networks of both directions.

    Attributes:
        by_direction: direction to a network that maps (B, 2k + 1, H, W) to (B, 1, H, W), in eval mode.
        slice_bytes: total size of the larger network's feature maps for one slice; fewer are in memory at a time.
    """

    by_direction: dict[str, nn.Module]
    slice_bytes: int


class _CheckedNetwork(NamedTuple):
    """A network on the meta device whose input and output channels are checked."""

    network: nn.Module
    outputs_stack: bool
    slice_bytes: int


def load_networks(folder: Path, description: ModelDescription) -> Networks:
    """Load the networks of both directions.

    Raises:
        ValueError: a network cannot be built, or the weights do not fit it or were changed.
    """
    for generator in description.generators.values():
        if DOTTED_NAME.fullmatch(generator.name) and not is_trusted(generator.name):
            raise ValueError(
                f"{folder / FILE_NAME}: its generator is {generator.name}, a class of another package, which would run "
                f"code. If you trust it, name it: --trust {generator.name}"
            )
    settings = description.preprocessing
    channels = 2 * settings.num_adjacent_slices + 1
    with _errors_name_file(folder / FILE_NAME):
        planned = {
            direction: _check_network(generator, settings.image_size, channels)
            for direction, generator in description.generators.items()
        }
    networks: dict[str, nn.Module] = {}
    for direction, generator in description.generators.items():
        with _errors_name_file(folder / generator.weights):
            path = safe_path(folder, generator.weights, MAX_WEIGHTS_BYTES)
            _check_weights(planned[direction].network, path, generator.sha256)
            network = generator_class(generator.name)(**generator.arguments).eval()
            network.load_state_dict(_require_finite(load_file(path)))
            networks[direction] = CenterSliceNetwork(network).eval() if planned[direction].outputs_stack else network
    return Networks(networks, max(plan.slice_bytes for plan in planned.values()))


@contextmanager
def _errors_name_file(path: Path) -> Iterator[None]:
    """Raise errors inside the block as a ValueError that names the file."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}). Ask its owner, or copy it.") from error
    except (KeyError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise _load_error(path, error) from error
    except SafetensorError as error:
        raise _load_error(path, error, " It must be a safetensors file; nothing else is read.") from error


def _load_error(path: Path, error: Exception, hint: str = "") -> ValueError:
    reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
    remedy = "Copy the folder again, or train again."
    return ValueError(f"{path}: not as it was saved ({terminal_safe(reason)}).{hint} {remedy}")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _check_network(generator: Generator, image_size: int, channels: int) -> _CheckedNetwork:
    """Build a network on the meta device, without memory for its weights, and run it.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: the network cannot be built, is too large or does not fit.
    """
    arguments, constructor = generator.arguments, generator_class(generator.name)
    if generator.name in GENERATORS:  # defaults may differ from those at training time
        missing = [name for name in signature(constructor).parameters if name not in arguments]
        _require(not missing, f"arguments without {', '.join(missing)}")
    with torch.device("meta"):
        network = constructor(**arguments).eval()
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        _require(
            num_parameters <= MAX_PARAMETERS, f"{num_parameters:,} parameters; at most {MAX_PARAMETERS:,} are read"
        )
        in_channels = arguments.get("in_channels", channels)
        _require(in_channels == channels, f"in_channels {in_channels} for {channels} slices")
        output, num_bytes = _measure_feature_maps(network, torch.empty(1, channels, image_size, image_size))
    _require(num_bytes <= MAX_MAP_BYTES, f"maps of {num_bytes:,} bytes a slice, at most {MAX_MAP_BYTES:,} expected")
    _require(output.shape[1] in (1, channels), f"out_channels {output.shape[1]} for {channels} slices")
    return _CheckedNetwork(network, output.shape[1] > 1, num_bytes)


def _measure_feature_maps(network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the output, and the total size of all layers' outputs in bytes."""
    sizes: list[int] = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: sizes.append(_num_bytes(output)))
        for module in network.modules()
        if not list(module.children())  # leaves only: a container's output is that of its last layer
    ]
    output = network(image)
    for hook in hooks:
        hook.remove()
    return output, sum(sizes)


def _num_bytes(output: object) -> int:
    outputs = output if isinstance(output, tuple | list) else [output]
    return sum(tensor.nbytes for tensor in outputs if isinstance(tensor, torch.Tensor))


def _check_weights(network: nn.Module, path: Path, sha256: str) -> None:
    """Raise if weights were changed or do not fit the network, before memory is allocated for it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _require(digest == sha256, f"the weights are not those {FILE_NAME} describes")
    expected = {name: (tuple(tensor.shape), "F32") for name, tensor in network.state_dict().items()}
    with safe_open(path, "pt") as weights:
        saved = {name: _shape_and_dtype(weights.get_slice(name)) for name in weights.keys()}  # noqa: SIM118
    odd = sorted(name for name in saved.keys() | expected.keys() if saved.get(name) != expected.get(name))
    _require(not odd, f"other weights than the arguments in {FILE_NAME} ask for: {', '.join(odd[:4])}")


def _require_finite(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors; raise unless all values are finite."""
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    _require(not broken, f"weights that are NaN or infinite: {', '.join(broken[:4])}")
    return tensors


def _shape_and_dtype(weights: object) -> tuple[tuple[int, ...], str]:
    return tuple(weights.get_shape()), weights.get_dtype()  # type: ignore[attr-defined]
