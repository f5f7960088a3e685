import json

import pytest
import torch

from mri_cyclegan.inference.portable import load_model, save_model
from mri_cyclegan.networks.unet import UNet

ARGUMENTS = dict(in_channels=1, out_channels=1, base_channels=2, depth=2, dropout=0.0, upsample="transposed")
ARGUMENTS["full_resolution_skip"] = True
DESCRIPTION = {
    "contrasts": {"a": "T1w", "b": "T2w"},
    "preprocessing": {"plane": "axial", "spacing_mm": 1.0, "image_size": 8, "num_adjacent_slices": 0},
}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    generators = {way: UNet(**ARGUMENTS) for way in ("ab", "ba")}
    architectures = {way: {"name": "UNet", "arguments": ARGUMENTS} for way in generators}
    save_model(tmp_path / "model", generators, architectures, DESCRIPTION)
    return tmp_path / "model", generators


def test_a_generator_of_stacks_gives_the_centre_slice(tmp_path):
    arguments = ARGUMENTS | {"in_channels": 5, "out_channels": 5}
    torch.manual_seed(0)
    generators = {way: UNet(**arguments) for way in ("ab", "ba")}
    architectures = {way: {"name": "UNet", "arguments": arguments} for way in generators}
    save_model(tmp_path, generators, architectures, DESCRIPTION)
    stack = torch.randn(2, 5, 8, 8)
    for way, network in generators.items():
        loaded = load_model(tmp_path).networks[way]
        assert not any(module.training for module in loaded.modules())
        assert torch.equal(loaded(stack), network.eval()(stack)[:, 2:3])


@pytest.mark.parametrize("way", ["ab", "ba"])
def test_a_loaded_generator_gives_the_saved_ones_output(saved, way):
    folder, generators = saved
    image = torch.randn(1, 1, 8, 8)
    loaded = load_model(folder).networks[way]
    assert not loaded.training
    assert torch.equal(loaded(image), generators[way].eval()(image))


def test_changed_weights_are_refused(saved):
    folder, _ = saved
    (folder / "generator_ab.safetensors").write_bytes((folder / "generator_ba.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"generator_ab\.safetensors.*not those model\.json describes"):
        load_model(folder)


def test_an_unknown_network_or_format_is_refused(saved):
    folder, _ = saved
    content = json.loads((folder / "model.json").read_text())
    content["generators"]["ab"]["name"] = "os.system"
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"unknown generator 'os\.system'"):
        load_model(folder)
    (folder / "model.json").write_text(json.dumps(content | {"format_version": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load_model(folder)
    (folder / "model.json").unlink()
    with pytest.raises(ValueError, match=r"no readable model\.json"):
        load_model(folder)


def test_a_run_folder_stands_for_the_model_in_it(saved):
    folder, _ = saved
    model = load_model(folder.parent)
    assert model.folder == folder
    assert model.contrasts == ("T1w", "T2w")
    assert model.preprocessing.image_size == 8


@pytest.mark.parametrize("missing", ["contrasts", "preprocessing"])
def test_an_incomplete_description_is_refused(saved, missing):
    folder, _ = saved
    content = json.loads((folder / "model.json").read_text())
    del content[missing]
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"model\.json: preprocessing or contrasts are incomplete"):
        load_model(folder)
