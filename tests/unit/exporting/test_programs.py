"""Both kinds of program give what the network gives, whatever the network and the size of the image."""

import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from example_model.models import make_model

import mri_cyclegan
from mri_cyclegan.exporting.onnx_program import load_onnx, write_onnx
from mri_cyclegan.exporting.parity import compare_outputs, size_multiple
from mri_cyclegan.exporting.programs import metadata, write_programs
from mri_cyclegan.exporting.torch_program import METADATA_FILE, load_torch_program, write_torch_program
from mri_cyclegan.inference.any_size import PadToMultiple
from mri_cyclegan.inference.model import load_model

KINDS = {"onnx": (write_onnx, load_onnx), "pt2": (write_torch_program, load_torch_program)}

# ONNX takes ten seconds a network; each of its ways is tried by a quick test too, in test_export.py.
EVERY_KIND = [pytest.param("onnx", marks=pytest.mark.slow), "pt2"]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_program_gives_what_the_network_gives(any_model, tmp_path, kind):
    differences = write_programs(any_model, tmp_path, kind, *KINDS[kind])
    assert set(differences) == {"ab", "ba"}
    assert max(parity.difference for parity in differences.values()) < 1e-5
    assert (tmp_path / "model.json").read_bytes() == (any_model.folder / "model.json").read_bytes()
    channels = 2 * any_model.num_adjacent + 1
    step = size_multiple(any_model, "ab")
    for direction, bare in any_model.networks.items():
        network = PadToMultiple(bare, step)
        program = KINDS[kind][1](tmp_path / f"generator_{direction}.{kind}")
        for shape in ((1, channels, step, step), (3, channels, 5 * step, 2 * step), (2, channels, 17, 22)):
            image = torch.empty(shape).uniform_(-1, 1)
            output = program(image)
            assert output.shape == (shape[0], 1, *shape[2:])
            np.testing.assert_allclose(output.detach(), network(image).detach(), atol=1e-5)


def test_a_check_sees_another_network(model_of):
    """And one that is right for the model's own batches and image size alone."""
    model = model_of()
    network, other = (PadToMultiple(model.networks[direction], 4) for direction in ("ab", "ba"))

    def difference(program):
        return compare_outputs(model, "ab", program).difference

    assert difference(network) == 0
    assert difference(other) > 1e-2
    assert difference(lambda image: network(image) + 2e-4) == pytest.approx(2e-4, rel=0.01)
    assert difference(lambda image: network(image) + 0.1 * (len(image) == 1)) > 0.09
    assert difference(lambda image: network(image) + 0.1 * (len(image) == 2)) > 0.09
    assert difference(lambda image: network(image) + 0.1 * (image.shape[2:] != (16, 16))) > 0.09
    assert np.isnan(difference(lambda image: network(image) * np.nan))
    assert 0 < compare_outputs(model, "ab", network).rounding < 1e-5


def test_the_check_uses_slices_of_a_head(model_of):
    model = model_of()
    seen = []

    def network(image):
        seen.append(image)
        return PadToMultiple(model.networks["ab"], 4)(image)

    compare_outputs(model, "ab", network)
    assert [tuple(image.shape) for image in seen] == [(4, 1, 16, 16), (2, 1, 16, 16), (1, 1, 17, 19)]
    filled = (torch.cat(seen[:2]) > -0.9).float().mean((1, 2, 3))
    assert filled[2] > 0.2, "a head in the middle"
    assert filled[0] < 0.05, "hardly anything where it begins"
    assert seen[2].max() > 0.5


@pytest.mark.parametrize("kind", ["onnx", pytest.param("pt2", marks=pytest.mark.slow)])
def test_dark_slices_of_the_baselines_size_are_as_exact(model_of, tmp_path, kind):
    """ONNX Runtime's own instance normalization is off by 1e-4 there."""
    model = model_of({"base_channels": 8, "depth": 3}, image_size=256)
    parities = write_programs(model, tmp_path, kind, *KINDS[kind]).values()
    assert max(parity.difference for parity in parities) < 1e-5
    image = torch.full((2, 1, 256, 256), -1.0)
    image[1, 0, 120:124, 120:130] = 0.5
    output = KINDS[kind][1](tmp_path / f"generator_ab.{kind}")(image)
    exact = copy.deepcopy(model.networks["ab"]).double()(image.double())
    np.testing.assert_allclose(output.detach(), exact.detach(), atol=1e-5)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model, and the folder with its programs of both kinds."""
    folder = tmp_path_factory.mktemp("written")
    make_model(folder / "model", description={"license": "CC-BY-4.0"}, image_size=16, spacing_mm=8.0)
    model = load_model(folder)
    for kind, functions in KINDS.items():
        write_programs(model, folder, kind, *functions)
    return model, folder


def test_an_onnx_file_says_what_it_is(written):
    model, folder = written
    file = onnx.load(folder / "generator_ba.onnx")
    told = {entry.key: entry.value for entry in file.metadata_props}
    assert told == metadata(model, "ba")
    assert (told["source_contrast"], told["target_contrast"]) == ("T2w", "T1w")
    assert told["notice"] == "Synthetic image made by a neural network. Not for diagnostic use."
    assert told["weights_sha256"] == model.hashes["ba"]
    assert told["license"] == "CC-BY-4.0"
    assert told["any_size"] == "true"
    sizes = [dim.dim_param or dim.dim_value for dim in file.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["batch", 1, "height", "width"]
    assert not any(tensor.external_data for tensor in file.graph.initializer)


def test_a_torch_program_says_what_it_is(written):
    model, folder = written
    found = {METADATA_FILE: ""}
    torch.export.load(folder / "generator_ab.pt2", extra_files=found)
    assert json.loads(found[METADATA_FILE]) == metadata(model, "ab")


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_tells_nothing_of_this_machine(written, kind):
    _, folder = written
    path = folder / f"generator_ab.{kind}"
    parts = [path.read_bytes()]
    if kind == "pt2":
        with zipfile.ZipFile(path) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    for place in (Path(mri_cyclegan.__file__).parent, Path(torch.__file__).parent, Path.home(), folder):
        assert not any(str(place).encode() in part for part in parts)


def test_a_broken_onnx_file_is_told(written, tmp_path):
    _, folder = written
    file = onnx.load(folder / "generator_ab.onnx")
    file.graph.node[0].op_type = "Convolve"
    onnx.save(file, tmp_path / "broken.onnx")
    with pytest.raises(ValueError, match=r"broken\.onnx: not as the ONNX standard asks"):
        load_onnx(tmp_path / "broken.onnx")


ONE_CHANNEL = {"in_channels": 1, "out_channels": 1}
OTHERS = {
    "ResNet": ONE_CHANNEL | {"base_channels": 4, "num_blocks": 2, "upsample": "transposed"},
    "TransformerUNet": ONE_CHANNEL | {"base_channels": 4, "depth": 2, "num_blocks": 1, "embedding": 8, "num_heads": 2},
    "AttentionUNet": ONE_CHANNEL | {"base_channels": 4, "depth": 2},
    "SwinUNETR": ONE_CHANNEL | {"features": 12},
}


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("name", ["ResNet", "TransformerUNet", pytest.param("AttentionUNet", marks=pytest.mark.slow)])
def test_other_generators(tmp_path, name, kind):
    make_model(tmp_path / "model", OTHERS[name], name=name, image_size=32, spacing_mm=8.0)
    model = load_model(tmp_path)
    if name == "TransformerUNet":
        for network in model.networks.values():
            network.bottleneck.share.data.fill_(0.5)
    for parity in write_programs(model, tmp_path, kind, *KINDS[kind]).values():
        assert parity.difference < max(1e-4, 3 * parity.rounding)
        assert parity.rounding < 1e-3
    image = torch.rand(3, 1, 39, 46) * 2 - 1
    output = KINDS[kind][1](tmp_path / f"generator_ab.{kind}")(image)
    expected = PadToMultiple(model.networks["ab"], size_multiple(model, "ab"))(image)
    np.testing.assert_allclose(output.detach(), expected.detach(), atol=1e-4)


@pytest.mark.slow
def test_a_generator_of_windows_is_exported_for_its_own_size(tmp_path):
    make_model(tmp_path / "model", OTHERS["SwinUNETR"], name="SwinUNETR", image_size=64, spacing_mm=4.0)
    model = load_model(tmp_path)
    for parity in write_programs(model, tmp_path, "onnx", *KINDS["onnx"]).values():
        assert parity.difference < max(1e-4, 3 * parity.rounding)
    assert metadata(model, "ab")["any_size"] == "false"
    sizes = [
        dim.dim_value for dim in onnx.load(tmp_path / "generator_ab.onnx").graph.input[0].type.tensor_type.shape.dim
    ]
    assert sizes == [0, 1, 64, 64]
    with pytest.raises(ValueError, match=r"torch\.export binds this network to a size .* Take another format"):
        write_programs(model, tmp_path, "pt2", *KINDS["pt2"])
