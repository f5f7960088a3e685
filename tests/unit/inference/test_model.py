import hashlib
import json
import os
import pickle

import pytest
import torch
from bad_inputs.permissions import permissions_matter
from example_model.models import APPEARANCE, SCANS, make_model
from safetensors.torch import load_file, save_file

from mri_cyclegan import trusted_classes
from mri_cyclegan.inference.description import AuditResult, EvaluationSummary
from mri_cyclegan.inference.model import load_model, save_evaluation


@pytest.fixture
def saved(tmp_path):
    return tmp_path / "model", make_model(tmp_path / "model")


def test_a_generator_of_stacks_gives_the_center_slice(tmp_path):
    generators = make_model(tmp_path, {"in_channels": 5, "out_channels": 5}, num_adjacent_slices=2)
    stack = torch.randn(2, 5, 8, 8)
    for direction, network in generators.items():
        loaded = load_model(tmp_path).networks[direction]
        assert not any(module.training for module in loaded.modules())
        assert torch.equal(loaded(stack), network.eval()(stack)[:, 2:3])


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_a_loaded_generator_gives_the_saved_ones_output(saved, direction):
    folder, generators = saved
    image = torch.randn(1, 1, 8, 8)
    loaded = load_model(folder).networks[direction]
    assert not loaded.training
    assert torch.equal(loaded(image), generators[direction].eval()(image))


def test_changed_weights_are_refused(saved):
    folder, _ = saved
    (folder / "generator_ab.safetensors").write_bytes((folder / "generator_ba.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"generator_ab\.safetensors.*not those model\.json describes"):
        load_model(folder)


def test_a_generator_of_another_package_is_built_if_it_is_named(saved, monkeypatch):
    monkeypatch.setattr(trusted_classes, "_trusted", set())
    folder, generators = saved
    for direction in ("ab", "ba"):
        change(folder, ("generators", direction, "name"), "mri_cyclegan.networks.unet.UNet")
    with pytest.raises(
        ValueError, match=r"model\.json: its generator is mri_cyclegan\.networks\.unet\.UNet, a class of"
    ):
        load_model(folder)
    image = torch.randn(1, 1, 8, 8)
    loaded = load_model(folder, trust=["mri_cyclegan.networks.unet.UNet"]).networks["ab"]
    assert torch.equal(loaded(image), generators["ab"].eval()(image))
    change(folder, ("generators", "ab", "name"), "subprocess.Popen")
    with pytest.raises(ValueError, match=r"subprocess\.Popen is no torch\.nn\.Module"):
        load_model(folder, trust=["subprocess.Popen"])
    with pytest.raises(ValueError, match=r"UNet: expected a class with its module"):
        load_model(folder, trust=["UNet"])


def test_a_folder_without_a_description_is_no_model(saved):
    folder, _ = saved
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


REQUIRED = [
    ("contrasts",),
    ("preprocessing",),
    ("training",),
    ("generators",),
    ("code_version",),
    ("contrasts", "b"),
    ("preprocessing", "num_adjacent_slices"),
    ("training", "weights"),
    ("training", "b"),
    *(("training", "a", key) for key in SCANS),
    *(("training", "a", "appearance", key) for key in APPEARANCE),
    *(("generators", "ba", key) for key in ("name", "arguments", "weights", "sha256")),
]


@pytest.mark.parametrize("keys", REQUIRED, ids=".".join)
def test_what_is_missing_from_the_description_is_named(saved, keys):
    folder, _ = saved
    change(folder, keys, MISSING)
    with pytest.raises(ValueError, match=rf"model\.json: .*\({'.'.join(keys)}: Field required\)"):
        load_model(folder)


GENERATOR = ("generators", "ab")
SETTINGS = ("preprocessing",)
LOOKS = ("training", "a", "appearance")


@pytest.mark.parametrize(
    ("keys", "value", "problem"),
    [
        (("generators",), None, "generators: .* got 'None'"),
        (("generators", "ba"), MISSING, "the generators ab and ba"),
        (("generators", "abc"), {}, r"generators\.abc"),
        (("surprise",), "__import__('os')", "surprise: Extra inputs"),
        ((*GENERATOR, "_target_"), "os.system", "_target_: Extra inputs"),
        ((*GENERATOR, "name"), ["UNet"], r"generators\.ab\.name"),
        ((*GENERATOR, "name"), "os.system", r"its generator is os\.system, a class of another package"),
        ((*GENERATOR, "name"), "VNet", r"unknown generator 'VNet'; known: UNet"),
        ((*GENERATOR, "arguments"), None, r"generators\.ab\.arguments"),
        ((*GENERATOR, "arguments", "widht"), 3, "widht"),
        ((*GENERATOR, "arguments", "depth"), MISSING, "arguments without depth"),
        ((*GENERATOR, "arguments", "residual"), MISSING, "arguments without residual"),
        ((*GENERATOR, "arguments", "depth"), [[[2]]], "depth: list, expected a number"),
        ((*GENERATOR, "arguments", "depth"), [2] * 33, "a list of 33, at most 32 expected"),
        ((*GENERATOR, "arguments", "depth"), [{"_target_": "os.system"}], "depth: dict, expected a number"),
        ((*GENERATOR, "arguments", "depth"), 10**6, "depth: 1000000, expected 0 to 1024"),
        ((*GENERATOR, "arguments", "depth"), 13, "multiples of 8192"),
        ((*GENERATOR, "arguments", "base_channels"), 10**6, "base_channels: 1000000, expected 0 to 1024"),
        ((*GENERATOR, "arguments", "base_channels"), -1, "base_channels: -1, expected 0 to 1024"),
        (
            (*GENERATOR, "arguments", "base_channels"),
            {"_target_": "os.system"},
            "base_channels: dict, expected a number",
        ),
        ((*GENERATOR, "arguments", "base_channels"), "2", r"model\.json: not as it was saved"),
        ((*GENERATOR, "arguments", "out_channels"), 2, "out_channels 2 for 1 slices"),
        ((*GENERATOR, "sha256"), None, r"generators\.ab\.sha256"),
        ((*GENERATOR, "sha256"), "0" * 64, r"generator_ab\.safetensors: .*not those model\.json describes"),
        ((*GENERATOR, "weights"), "/etc/passwd", r"generators\.ab\.weights.*'/etc/passwd'"),
        ((*GENERATOR, "weights"), "../generator_ab.safetensors", r"generators\.ab\.weights"),
        ((*GENERATOR, "weights"), "generator_ba.safetensors", "weights of ab in 'generator_ba.safetensors', expected"),
        ((*SETTINGS, "num_adjacent_slices"), "0", r"num_adjacent_slices: .* got '0'"),
        ((*SETTINGS, "num_adjacent_slices"), -1, r"num_adjacent_slices: .* got '-1'"),
        ((*SETTINGS, "num_adjacent_slices"), 10**30, "num_adjacent_slices: "),
        ((*SETTINGS, "num_adjacent_slices"), 1, "in_channels 1 for 3 slices"),
        ((*SETTINGS, "image_size"), 10**6, "image_size: .*less than or equal to 2048"),
        ((*SETTINGS, "image_size"), 64.5, r"image_size: .* got '64\.5'"),
        ((*SETTINGS, "image_size"), 10, "multiples of 4"),
        ((*SETTINGS, "spacing_mm"), 1e-6, "spacing_mm: "),
        ((*SETTINGS, "spacing_mm"), float("inf"), "spacing_mm: "),
        ((*SETTINGS, "plane"), [], "preprocessing.plane: "),
        (("contrasts",), {"a": 1, "b": "T2w"}, r"contrasts\.a: "),
        (("contrasts", "a"), "../../T1w", r"contrasts\.a: "),
        (("contrasts", "a"), "T1\x9bw", r"contrasts\.a: "),
        (("contrasts", "a"), "..", r"contrasts\.a: "),
        (("\x1b]0;title\x07",), 1, r"\\x1b\]0;title\\x07: Extra"),
        (("training", "b", "intensity_low"), -1.5e308, r"intensity_low: "),
        (("training", "weights"), 3, r"training\.weights: "),
        (("training", "a", "intensity_low"), 1e6, "intensities from 1000000.0 to 420.0"),
        ((*LOOKS, "histogram"), [1 / 255] * 255, "histogram: .*256 items"),
        ((*LOOKS, "histogram"), [float("nan")] * 256, r"histogram\.0: "),
        ((*LOOKS, "histogram"), [0.5] * 256, "shares that sum to 1"),
        ((*LOOKS, "histogram"), [2, -1] + [0] * 254, r"histogram\.1: "),
        ((*LOOKS, "histogram_distance"), None, "histogram_distance: "),
        ((*LOOKS, "ranges", "mean"), [0.3], r"ranges\.mean"),
        ((*LOOKS, "ranges", "mean"), MISSING, "ranges, from low to high, of foreground_ml, mean"),
        ((*LOOKS, "ranges", "mean"), [0.4, 0.3], "from low to high"),
        ((*LOOKS, "ranges", "mean"), [0.3, float("inf")], r"ranges\.mean\.1: "),
    ],
)
def test_what_is_wrong_in_the_description_is_told(saved, keys, value, problem):
    folder, _ = saved
    change(folder, keys, value)
    with pytest.raises(ValueError, match=problem) as error:
        load_model(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("version", "remedy"), [(99, "Update mri-cyclegan"), (2, "Use the version .* that wrote it"), ("3", "")]
)
def test_another_format_is_refused_with_its_version(saved, version, remedy):
    folder, _ = saved
    change(folder, ("format_version",), version)
    change(folder, ("of",), "another time")
    with pytest.raises(ValueError, match=rf"model format {version!r}; this version reads 3\. {remedy}"):
        load_model(folder)


def test_networks_that_would_exhaust_memory_are_refused_before_any_is_taken(saved, monkeypatch):
    folder, _ = saved
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", None)
    change(folder, ("generators", "ab", "arguments", "base_channels"), 1024)  # 400 MB of weights
    with pytest.raises(ValueError, match=r"generator_ab\.safetensors: .*other weights .* ask for: downs\.0"):
        load_model(folder)
    change(folder, ("generators", "ab", "arguments", "depth"), 6)
    change(folder, ("preprocessing", "image_size"), 64)
    with pytest.raises(ValueError, match=r"model\.json: .*[\d,]+ parameters; at most 500,000,000"):
        load_model(folder)
    change(folder, ("generators", "ab", "arguments", "depth"), 2)
    change(folder, ("preprocessing", "image_size"), 2048)
    with pytest.raises(ValueError, match=r"model\.json: .*maps of [\d,]+ bytes a slice"):
        load_model(folder)


def claim_hash(folder, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change(folder, ("generators", path.stem.removeprefix("generator_"), "sha256"), digest)


class Bomb:
    """Unpickled, it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_pickled_weights_are_not_read_whatever_they_are_called(saved, tmp_path):
    folder, _ = saved
    path = folder / "generator_ab.safetensors"
    torch.save({"weights": Bomb(tmp_path / "boom")}, tmp_path / "weights.pt")
    for content in (pickle.dumps(Bomb(tmp_path / "boom")), (tmp_path / "weights.pt").read_bytes(), b"none" * 9, b""):
        path.write_bytes(content)
        claim_hash(folder, path)
        with pytest.raises(ValueError, match=r"generator_ab\.safetensors: .*must be a safetensors file; nothing else"):
            load_model(folder)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda tensors: {k: v for k, v in tensors.items() if "last" not in k}, r"other weights .* last\."),
        (lambda tensors: tensors | {"more": torch.zeros(3)}, "other weights .*: more"),
        (lambda tensors: {k: v.double() for k, v in tensors.items()}, "other weights"),
        (lambda tensors: {k: v.flatten() for k, v in tensors.items()}, "other weights"),
        (lambda tensors: {k: v / 0 for k, v in tensors.items()}, "NaN or infinite: "),
        (lambda tensors: {k: v / 0 * 0 if "last" in k else v for k, v in tensors.items()}, r"NaN or infinite: last\."),
    ],
    ids=["fewer", "more", "double", "flat", "infinite", "NaN"],
)
def test_weights_that_do_not_fit_are_refused_though_their_hash_is_right(saved, changed, problem):
    folder, _ = saved
    path = folder / "generator_ba.safetensors"
    save_file(changed(load_file(path)), path)
    claim_hash(folder, path)
    with pytest.raises(ValueError, match=rf"generator_ba\.safetensors: not as it was saved \(.*{problem}"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.json", "generator_ab.safetensors"])
def test_a_link_out_of_the_folder_is_not_followed(saved, tmp_path, name):
    folder, _ = saved
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"{name}: .*a link out of the model's folder"):
        load_model(folder)


def test_the_model_of_a_run_is_not_looked_for_outside_it(saved, tmp_path):
    folder, _ = saved
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(folder)
    with pytest.raises(ValueError, match=r"run/model: a link out of the run's folder\. Give .*model itself"):
        load_model(tmp_path / "run")


def test_saved_files_may_be_read_by_whoever_may_read_the_folder(saved):
    folder, _ = saved
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert len(modes) == 1
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o666 & ~umask}


def test_weights_that_may_not_be_read_are_not_called_broken(saved):
    folder, _ = saved
    (folder / "generator_ab.safetensors").chmod(0)
    with permissions_matter(), pytest.raises(ValueError, match=r"cannot be read \(Permission denied\)\. Ask its owner"):
        load_model(folder)


def test_a_folder_may_be_reached_through_a_link(saved, tmp_path):
    folder, _ = saved
    (tmp_path / "link").symlink_to(folder)
    assert load_model(tmp_path / "link").contrasts == ("T1w", "T2w")


@pytest.mark.parametrize("name", ["model.json", "generator_ab.safetensors"])
def test_what_is_no_plain_file_or_too_large_is_not_read(saved, name):
    """A pipe would be waited for without end, a large file would fill the memory."""
    folder, _ = saved
    path = folder / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=rf"{name}: .*no plain file"):
        load_model(folder)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space
    with pytest.raises(ValueError, match=rf"{name}: .*1,099,511,627,776 bytes, at most"):
        load_model(folder)


def test_an_evaluation_joins_the_description(saved):
    folder, _ = saved
    before = load_model(folder).description
    assert before.evaluation is None
    evaluation = EvaluationSummary(
        protocol_version=1,
        measured_on="6 test subjects, 6 with pairs",
        method="CycleGAN",
        means={"ab": {"CycleGAN": {"ssim": 0.8}, "copy": {"ssim": -0.1}}},
        audits=(AuditResult(name="Copying", direction="ab", level="green", figure="0.1"),),
        verdict=("It beats what is trivial.",),
    )
    save_evaluation(folder, evaluation)
    after = load_model(folder).description
    assert after.evaluation == evaluation
    assert after.model_copy(update={"evaluation": None}) == before
