import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mri_cyclegan.inference.portable import load_model, save_model
from mri_cyclegan.networks.unet import UNet

ARGUMENTS = dict(in_channels=1, out_channels=1, base_channels=2, depth=2, dropout=0.0, upsample="transposed")
ARGUMENTS["full_resolution_skip"] = True
TRAINING = {
    "num_scans": 3,
    "histogram": [1 / 256] * 256,
    "histogram_distance": 0.1,
    "ranges": {"foreground_ml": [1000, 1500], "mean": [0.3, 0.4], "sd": [0.1, 0.2], "roughness": [0.01, 0.02]},
}
DESCRIPTION = {
    "contrasts": {"a": "T1w", "b": "T2w"},
    "preprocessing": {"plane": "axial", "spacing_mm": 1.0, "image_size": 8, "num_adjacent_slices": 0},
    "training": {"a": TRAINING, "b": TRAINING},
    "weights": "last epoch",
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
    preprocessing = DESCRIPTION["preprocessing"] | {"num_adjacent_slices": 2}
    save_model(tmp_path, generators, architectures, DESCRIPTION | {"preprocessing": preprocessing})
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


MISSING = object()


def change(folder, keys, value):
    """Set or delete an entry of model.json."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is MISSING:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("content", ["[]", "null", "3", "[" * 100_000])
def test_a_description_of_another_kind_is_refused(saved, content):
    folder, _ = saved
    (folder / "model.json").write_text(content)
    with pytest.raises(ValueError, match=r"model\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    "keys",
    [
        ("contrasts",),
        ("preprocessing",),
        ("weights",),
        ("training",),
        ("generators",),
        ("contrasts", "b"),
        ("preprocessing", "num_adjacent_slices"),
        ("training", "b"),
        *(("training", "a", key) for key in TRAINING),
        *(("training", "a", "ranges", key) for key in TRAINING["ranges"]),
        ("generators", "ba"),
        *(("generators", "ba", key) for key in ("name", "arguments", "sha256")),
    ],
    ids=".".join,
)
def test_what_is_missing_from_the_description_is_named(saved, keys):
    folder, _ = saved
    change(folder, keys, MISSING)
    with pytest.raises(ValueError, match=rf"model\.json: no '{keys[-1]}'"):
        load_model(folder)


@pytest.mark.parametrize(
    ("keys", "value", "problem"),
    [
        (("generators",), None, r"model\.json: "),
        (("generators", "ab", "name"), ["UNet"], r"unknown generator \['UNet'\]"),
        (("generators", "ab", "arguments"), None, r"model\.json: "),
        (("generators", "ab", "arguments", "widht"), 3, "widht"),
        (("generators", "ab", "arguments", "depth"), MISSING, "depth"),
        (("generators", "ab", "arguments", "depth"), 10**6, "depth 1000000, at most"),
        (("generators", "ab", "arguments", "base_channels"), 10**6, "base_channels 1000000, at most"),
        (("generators", "ab", "arguments", "base_channels"), -1, r"model\.json: "),
        (("generators", "ab", "arguments", "base_channels"), "2", r"model\.json: "),
        (("generators", "ab", "arguments", "out_channels"), 2, "out_channels 2 for 1 slices"),
        (("generators", "ab", "sha256"), None, "sha256 None"),
        (("generators", "ab", "sha256"), "", r"generator_ab\.safetensors: .*not those model\.json describes"),
        (("preprocessing", "num_adjacent_slices"), "0", "num_adjacent_slices '0'"),
        (("preprocessing", "num_adjacent_slices"), -1, "num_adjacent_slices -1"),
        (("preprocessing", "num_adjacent_slices"), 10**30, "in_channels 1 for 2"),
        (("generators", "ab", "arguments", "depth"), 13, r"model\.json: .*multiples of 8192"),
        (("preprocessing", "num_adjacent_slices"), 1, "in_channels 1 for 3 slices"),
        (("preprocessing", "image_size"), 10**6, "image_size 1000000, at most 4096"),
        (("preprocessing", "image_size"), 64.5, "image_size 64.5"),
        (("preprocessing", "image_size"), 10, r"model\.json: .*multiples of 4"),
        (("preprocessing", "spacing_mm"), 1e-6, "spacing_mm 1e-06"),
        (("preprocessing", "spacing_mm"), float("inf"), "spacing_mm inf"),
        (("preprocessing", "plane"), [], r"model\.json: "),
        (("contrasts",), {"a": 1, "b": "T2w"}, "expected two names"),
        (("weights",), 3, "weights 3"),
        (("training",), [TRAINING, TRAINING], r"model\.json: "),
        (("training", "a", "histogram"), [1 / 255] * 255, "255 bins, expected 256"),
        (("training", "a", "histogram"), [float("nan")] * 256, "shares that sum to 1"),
        (("training", "a", "histogram"), [0.5] * 256, "shares that sum to 1"),
        (("training", "a", "histogram"), [2, -1] + [0] * 254, "shares that sum to 1"),
        (("training", "a", "histogram"), ["1"] + [0] * 255, "shares that sum to 1"),
        (("training", "a", "histogram_distance"), None, "histogram_distance None"),
        (("training", "a", "ranges", "mean"), [0.3], r"model\.json: "),
        (("training", "a", "ranges", "mean"), [0.4, 0.3], "mean from 0.4 to 0.3"),
        (("training", "a", "ranges", "mean"), [0.3, float("inf")], "mean from 0.3 to inf"),
    ],
)
def test_what_is_wrong_in_the_description_is_told(saved, keys, value, problem):
    folder, _ = saved
    change(folder, keys, value)
    with pytest.raises(ValueError, match=problem) as error:
        load_model(folder)
    assert str(folder) in str(error.value)


def test_other_weights_than_the_arguments_ask_for_take_no_memory(saved, monkeypatch):
    folder, _ = saved
    change(folder, ("generators", "ab", "arguments", "base_channels"), 1024)  # 4 GB
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", None)
    with pytest.raises(ValueError, match=r"generator_ab\.safetensors: .*other weights .* ask for: downs\.0"):
        load_model(folder)


@pytest.mark.parametrize("kind", ["fewer", "garbage"])
def test_weights_that_do_not_fit_are_refused_though_their_hash_is_right(saved, kind):
    folder, _ = saved
    path = folder / "generator_ba.safetensors"
    if kind == "fewer":
        save_file({name: tensor for name, tensor in load_file(path).items() if "last" not in name}, path)
    else:
        path.write_bytes(b"none" * 9)
    change(folder, ("generators", "ba", "sha256"), hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"generator_ba\.safetensors: not as it was saved"):
        load_model(folder)


def test_the_description_cannot_name_another_file_of_weights(saved):
    folder, generators = saved
    change(folder, ("generators", "ab", "weights"), "/etc/passwd")
    image = torch.randn(1, 1, 8, 8)
    assert torch.equal(load_model(folder).networks["ab"](image), generators["ab"].eval()(image))
