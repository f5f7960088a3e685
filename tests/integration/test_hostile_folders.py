"""Runs, models and scans of strangers: no code of theirs runs, and nothing is written but below the output's folder."""

import json
import os
import pickle
import shutil
from datetime import date
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import yaml
from bad_inputs.heads import head
from example_model.models import make_model
from hostile_targets import OUTSIDE, WAYS

from mri_cyclegan import evaluate, export, translate, verify
from mri_cyclegan.evaluation.finished_run import FinishedRun
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.sweeps.leaderboard import rank_runs
from mri_cyclegan.train import train

MARKER = "hurt"
FORMATS = ("onnx", "torch_export", "monai_bundle")
SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=1", "evaluate=false"]

# What a command that only reads a run has no reason to call.
CALLED_BY_NO_COMMAND = [
    *("os.system", "posix.system", "os.execvp", "os.popen", "runpy.run_path", "pydoc.locate", "webbrowser.open"),
    *(
        "pickle.load",
        "pickle.loads",
        "torch.load",
        "torch.hub.load",
        "joblib.load",
        "yaml.full_load",
        "yaml.unsafe_load",
    ),
    *("hydra.utils.instantiate", "hydra.utils.call", "hydra.utils.get_method", "urllib.request.urlopen"),
    *("omegaconf.OmegaConf.load", "omegaconf.OmegaConf.create", "mri_cyclegan.configuration.build.build"),
]

# Names that a file may have, and that mean something to a terminal, a browser, a formula or a reader of paths.
NAMES = [
    "<img src=x onerror=alert(1)>",
    "a\nb",
    "\x1b]0;title\x07\x1b[2J",
    '"><script>alert(1)<',
    "$x^{$",
    "[bold]x[",
    "..",
    "~",
    "%2e%2e%2f",
    "\u202egpj",
    "\U0001d400" * 40,
    os.fsdecode(b"\xe9\xff"),
]


class Bomb:
    """Unpickled, it would leave a file."""

    def __reduce__(self):
        return os.system, (f"touch {MARKER}",)


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """Whatever a test does, the payloads must not have left their marker."""
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(tmp_path.rglob(MARKER)) == []


@pytest.fixture
def run(toy_run, tmp_path):
    """A copy of the toy run, to spoil."""
    return Path(shutil.copytree(toy_run[0], tmp_path / "run", ignore=shutil.ignore_patterns("evaluation", "samples")))


@pytest.fixture
def scan(tmp_path):
    return save(tmp_path / "scans" / "sub-01_T1w.nii.gz")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, image_size=16, spacing_mm=8.0)
    return folder


@pytest.fixture
def commands(run_app, scan, tmp_path):
    """Every command that takes a run, by name."""
    made = tmp_path / "made"
    return {
        "evaluate": lambda run: run_app(evaluate.app, run, "--output", made / "evaluation"),
        "translate": lambda run: run_app(translate.app, run, scan, made / "scan.nii.gz", "--device", "cpu"),
        **{name: partial(export_as, run_app, name, made) for name in FORMATS},
    }


def export_as(run_app, name, made, run):
    return run_app(export.app, run, "--format", name, "--output", made / name)


def save(path, seed=0, shape=(20, 24, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(head(seed, shape=shape), np.diag([8, 8, 8, 1.0])), path)
    return path


def change(path, keys, value):
    content = json.loads(path.read_text())
    node = content
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(content))


def planted(config):
    """The configuration with every target, hidden in every way, in many places."""
    nodes = {f"{way} {number}": hide(target) for number, target in enumerate(OUTSIDE) for way, hide in WAYS.items()}
    changed = json.loads(json.dumps(config)) | {
        "hostile": nodes,
        "_target_": "os.system",
        "_args_": [f"touch {MARKER}"],
    }
    for number, place in enumerate(("model", "generator", "data", "callbacks", "trainer", "logger", "discriminator")):
        changed[place] |= {
            "_target_": OUTSIDE[number],
            "_args_": [f"touch {MARKER}"],
            "hostile": WAYS["partial"]("os.system"),
        }
    changed["model"]["generator_ab"] = WAYS["with arguments"]("os.system")
    return changed


def plant(run):
    path = run / "config.yaml"
    path.write_text(yaml.safe_dump(planted(yaml.safe_load(path.read_text()))))


# Configurations


def test_a_configuration_is_read_as_plain_values(run):
    plant(run)
    config = FinishedRun(run).config
    assert config["data"]["_target_"] == OUTSIDE[2]
    assert config["hostile"]["made by a resolver 0"] == "${oc.create:{_target_: 'os.system'}}"
    assert len(config["hostile"]) == len(OUTSIDE) * len(WAYS) > 600


def test_no_command_builds_what_a_configuration_asks_for(run, commands, toy_run):
    plant(run)
    (run / ".hydra").mkdir(exist_ok=True)
    for name in ("config.yaml", "hydra.yaml"):
        shutil.copyfile(run / "config.yaml", run / ".hydra" / name)
    called = []
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLED_BY_NO_COMMAND:
            patch.setattr(name, lambda *arguments, name=name, **_: called.append((name, arguments)))
        for name in ("evaluate", "translate"):
            status, output = commands[name](run)
            assert (status, called) == (0, []), output
    status, output = commands["torch_export"](run)  # it reads what it wrote itself by torch.load
    assert status == 0, output
    made = json.loads((run.parent / "made" / "evaluation" / "metrics.json").read_text())
    assert made["summary"] == json.loads((toy_run[0] / "evaluation" / "metrics.json").read_text())["summary"]


@pytest.mark.parametrize(
    ("word", "num_epochs"), [("initial_model={run}", 1), ("ckpt_path={run}/checkpoints/last.ckpt", 3)]
)
def test_training_builds_nothing_of_the_run_it_starts_from(run, compose_run, toy_overrides, tmp_path, word, num_epochs):
    plant(run)
    words = [f"trainer.max_epochs={num_epochs}", word.format(run=run)]
    summary = train(compose_run(tmp_path / "next", *toy_overrides, *SHORT, *words))
    assert summary["num_epochs"] == num_epochs


@pytest.mark.parametrize(
    "text",
    [
        f"name: !!python/object/apply:os.system ['touch {MARKER}']",
        f"name: !!python/object/new:os.system ['touch {MARKER}']",
        f"- !!python/object/apply:subprocess.Popen [[touch, {MARKER}]]",
        "name: !!python/name:os.system",
        f"%TAG ! tag:yaml.org,2002:python/\n---\n!object/apply:os.system ['touch {MARKER}']",
    ],
)
def test_tags_of_yaml_make_no_objects(run, commands, text):
    (run / "config.yaml").write_text(text)
    status, output = commands["evaluate"](run)
    assert (status, "config.yaml: cannot be read (" in output) == (2, True), output
    assert commands["translate"](run)[0] == 0  # which reads the model alone


# Models


@pytest.mark.parametrize("target", OUTSIDE)
def test_a_model_is_of_the_registry_or_is_refused(model, tmp_path, target):
    places = {
        ("generators", "ab", "name"): target,
        ("generators", "ab", "_target_"): target,
        ("generators", "ab", "arguments", "_target_"): target,
        ("generators", "ab", "arguments", "_args_"): [f"touch {MARKER}"],
        ("generators", "ab", "arguments", "upsample"): target,
        ("generators", "ab", "arguments", "depth"): {"_target_": target},
        ("generators", "ba", "arguments", "base_channels"): f"${{oc.create:{{_target_: '{target}'}}}}",
        ("generators", "ba"): {"_target_": target, "_args_": [f"touch {MARKER}"]},
        ("preprocessing", "plane"): target,
        ("preprocessing", "spacing_mm"): {"_target_": target},
        ("training", "a", "appearance", "ranges", "mean"): {"_target_": target},
        ("_target_",): target,
    }
    for keys, value in places.items():
        folder = shutil.copytree(model, tmp_path / "model", dirs_exist_ok=True)
        change(folder / "model.json", keys, value)
        with pytest.raises(
            ValueError, match=r"model\.json: (not as it was saved|its generator is .*, a class of another)"
        ):
            load_model(folder)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_is_refused_however_a_target_is_hidden(model, tmp_path, way):
    folder = shutil.copytree(model, tmp_path / "model")
    for place in ("upsample", "hostile"):
        change(folder / "model.json", ("generators", "ab", "arguments", place), WAYS[way]("os.system"))
        with pytest.raises(ValueError, match=r"model\.json: not as it was saved"):
            load_model(folder)


def test_every_command_refuses_such_a_model(run, commands, compose_run, toy_overrides, tmp_path):
    change(run / "model" / "model.json", ("generators", "ab", "name"), "os.system")
    for name, command in commands.items():
        status, output = command(run)
        assert (status, "model.json: its generator is os.system, a class of another package" in output) == (2, True), (
            name
        )
    with pytest.raises(ValueError, match=r"model\.json: its generator is os\.system, a class of another package"):
        train(compose_run(tmp_path / "next", *toy_overrides, *SHORT, f"initial_model={run}"))
    assert not (tmp_path / "made").exists() or not any((tmp_path / "made").rglob("*.*"))


# Pickles


@pytest.fixture
def pickles(tmp_path):
    """Files that run code when they are unpickled: a bare pickle, and one in a zip file, as torch saves it."""
    bare, packed = tmp_path / "bare.pkl", tmp_path / "packed.pt"
    bare.write_bytes(pickle.dumps(Bomb()))
    torch.save({"state_dict": Bomb(), "epoch": 0, "pytorch-lightning_version": "2.5.0"}, packed)
    return bare, packed


def test_weights_are_not_unpickled(run, commands, pickles):
    for content in pickles:
        shutil.copyfile(content, run / "model" / "generator_ab.safetensors")
        for name in ("evaluate", "translate", "onnx"):
            status, output = commands[name](run)
            assert (status, "generator_ab.safetensors: not as it was saved" in output) == (2, True), output


def test_weights_of_the_feature_network_are_not_unpickled(run, run_app, pickles, tmp_path):
    for content in pickles:
        status, output = run_app(evaluate.app, run, "--output", tmp_path / "made", "--feature-weights", content)
        assert (status, content.name in output) == (2, True), output


@pytest.mark.parametrize("words", [["ckpt_path={checkpoint}"], ["resume=auto"]])
def test_a_checkpoint_is_not_unpickled(run, compose_run, toy_overrides, pickles, tmp_path, words):
    checkpoint = run / "checkpoints" / "last.ckpt"
    shutil.copyfile(pickles[1], checkpoint)
    words = [word.format(checkpoint=checkpoint) for word in words]
    run_dir = run if "resume=auto" in words else tmp_path / "next"
    with pytest.raises(ValueError, match=r"is not a checkpoint of such a run: it holds more than data"):
        train(compose_run(run_dir, *toy_overrides, *SHORT, "trainer.max_epochs=3", *words))


@pytest.mark.parametrize("address", ["local://{victim}", "{run}/checkpoints/../../victim/file"])
def test_a_checkpoint_removes_nothing_of_others(run, compose_run, toy_overrides, tmp_path, address):
    """Where Lightning's callback believes to know which file has been best so far."""
    victim = run.parent / "victim"
    victim.mkdir()
    (victim / "file").write_text("")
    checkpoint = run / "checkpoints" / "last.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    (name,) = [name for name in content["callbacks"] if name.startswith("ModelCheckpoint")]
    state, worst = content["callbacks"][name], address.format(victim=victim, run=run)
    score = torch.tensor(-5.0)
    state.update(best_k_models={worst: score}, kth_best_model_path=worst, kth_value=score, best_model_score=score)
    state.pop("dirpath")
    torch.save(content, checkpoint)
    train(compose_run(tmp_path / "next", *toy_overrides, *SHORT, "trainer.max_epochs=4", f"ckpt_path={checkpoint}"))
    assert (victim / "file").exists()


# What a leaderboard reads


HOSTILE_FILES = {
    ".hydra/overrides.yaml": [f"- !!python/object/apply:os.system ['touch {MARKER}']", "- !!int ''", "[&a [*a]]"],
    ".hydra/hydra.yaml": [f"hydra: !!python/object/apply:os.system ['touch {MARKER}']", "hydra: !!bool x"],
    "validation.json": ['{"ssim": 1' + "0" * 400 + "}", '{"_target_": "os.system"}', "[" * 10**5, '{"ssim": NaN}'],
    "resources.json": ['{"training_s": 1' + "0" * 400 + "}", '{"training_s": {"_target_": "os.system"}}'],
    "summary.json": ['{"_target_": "os.system"}', "\x00"],
    "evaluation/metrics.json": ['{"_target_": "os.system"}', "[" * 10**5, '{"protocol_version": "__import__(\'os\')"}'],
    "config.yaml": ["!!python/object/apply:os.system ['true']"],
    "metrics.csv": ["epoch,val/ssim\n" + "9" * 400 + ",0.5\n=cmd|' /C calc'!A0,1\n", "\x00"],
    "error.txt": ["\x1b]0;title\x07\x1b[2J"],
}


def test_a_leaderboard_takes_hostile_files_for_what_they_say(toy_run, run_app, tmp_path):
    root = tmp_path / "sweep"
    sound = Path(shutil.copytree(toy_run[0], root / "sound", ignore=shutil.ignore_patterns("samples", "checkpoints")))
    for name, contents in HOSTILE_FILES.items():
        for number, content in enumerate(contents):
            folder = Path(shutil.copytree(sound, root / f"{name.replace('/', ' ')} {number}"))
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
            if name == "error.txt":
                (folder / "summary.json").unlink()
    for metric in ("ssim", "val_ssim"):
        assert sound in [entry.folder for entry in rank_runs(root, metric).entries]
        status, output = run_app(evaluate.app, "--leaderboard", root, "--metric", metric)
        assert (status, "\x1b" in output) == (0, False), output


# Where outputs go


@pytest.fixture
def outside(tmp_path):
    """A folder that nobody may write into."""
    folder = tmp_path / "outside"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def test_translations_of_any_names_stay_below_their_folder(model, run_app, tmp_path, outside):
    source = tmp_path / "scans"
    for name in NAMES:
        save(source / f"x{name}" / f"x{name}_T1w.nii.gz")
    save(tmp_path / "elsewhere" / "sub-02_T1w.nii.gz")
    (source / "link").symlink_to(tmp_path / "elsewhere")  # may be read through, as data sets of links are
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "output"
    status, said = run_app(translate.app, model, source, output)
    assert status == 0, said
    assert "\x1b" not in said
    made = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(output) for path in made)
    assert len([path for path in made if path.name.endswith(".nii.gz")]) == len(NAMES) + 1


def test_a_name_with_brackets_is_no_markup(model, run_app, tmp_path, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    save(tmp_path / "scans" / "a[" / "b]_T1w.nii.gz")
    status, said = run_app(translate.app, model, tmp_path / "scans", tmp_path / "output")
    assert status == 0, said


def test_a_name_that_is_too_long_is_told(model, run_app, tmp_path):
    save(tmp_path / "scans" / f"{'x' * 240}_T1w.nii.gz")
    status, said = run_app(translate.app, model, tmp_path / "scans", tmp_path / "output")
    assert (status, "cannot be written (File name too long)" in said) == (1, True), said


@pytest.mark.parametrize("place", ["sub-01", "sub-01/anat"])
def test_a_link_in_the_output_is_not_written_through(model, run_app, tmp_path, outside, place):
    save(tmp_path / "bids" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    output = tmp_path / "output"
    (output / place).parent.mkdir(parents=True)
    (output / place).symlink_to(outside)
    status, said = run_app(translate.app, model, tmp_path / "bids", output)
    assert (status, f"leads out of {output}" in said) == (2, True), said


def test_a_contrast_names_no_folder_above(run, commands):
    for name in ("..", ".", "../x", "/abs", "a/b", "a\x00", "", "x" * 101):
        change(run / "model" / "model.json", ("contrasts", "b"), name)
        status, output = commands["translate"](run)
        assert (status, "model.json: not as it was saved (contrasts.b" in output) == (2, True), output


@pytest.mark.parametrize("place", ["evaluation", "evaluation/subjects", "evaluation/subjects/sources"])
def test_an_evaluation_does_not_follow_links_out_of_a_run(run, run_app, outside, place):
    (run / place).parent.mkdir(parents=True, exist_ok=True)
    (run / place).symlink_to(outside)
    for words in ([run], ["--compare", run, run]):
        status, output = run_app(evaluate.app, *words)
        assert (status, "leads out of" in output) == (2, True), output


@pytest.mark.parametrize("place", ["export", "export/torch_export"])
def test_an_export_does_not_follow_links_out_of_a_run(run, run_app, outside, place):
    (run / place).parent.mkdir(parents=True, exist_ok=True)
    (run / place).symlink_to(outside)
    status, output = run_app(export.app, run, "--format", "torch_export")
    assert (status, "leads out of" in output) == (2, True), output


@pytest.mark.parametrize(
    ("key", "value"), [("name", {"_target_": "os.system"}), ("seed", date(2026, 1, 1)), ("trainer.max_epochs", b"1")]
)
def test_a_setting_of_another_kind_is_no_crash(run, commands, key, value):
    config = yaml.safe_load((run / "config.yaml").read_text())
    node = config["trainer"] if "." in key else config
    node[key.rpartition(".")[2]] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    status, output = commands["evaluate"](run)
    assert (status, f"config.yaml: {key} is " in output) == (2, True), output


@pytest.fixture
def hostile_data(toy_run, tmp_path):
    """A BIDS data set whose names, of people, sessions, scans and tissues, are those of a stranger."""
    root = tmp_path / "data"
    original = Path(json.loads((toy_run[0] / "split.json").read_text())["root"])
    subject = json.loads((toy_run[0] / "split.json").read_text())["subjects"]["test"][0]
    for name in NAMES:
        anat = root / f"sub-{name}" / f"ses-{name}" / "anat"
        anat.mkdir(parents=True)
        for contrast in ("T1w", "T2w"):
            path = original / subject / "anat" / f"{subject}_{contrast}.nii.gz"
            shutil.copyfile(path, anat / f"x{name[:20]}_{contrast}.nii.gz")
    return root


def test_reports_on_any_names_are_escaped_and_stay_in_their_folder(run, run_app, hostile_data, tmp_path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["name"] = "<script>alert(1)</script>[/x]"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "made"
    status, said = run_app(
        evaluate.app, run, "--data-root", hostile_data, "--split", "all", "--output", output, "--device", "cpu"
    )
    assert status == 0, said
    assert "\x1b" not in said
    assert all(path.is_relative_to(output) for path in set(tmp_path.rglob("*")) - before)
    page = (output / "report.html").read_text()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert len(json.loads((output / "metrics.json").read_text())["subjects"]) == len(NAMES)


def test_verify_shows_names_as_they_are(run_app, hostile_data, tmp_path):
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "made"
    _, said = run_app(verify.app, hostile_data, "--output", output, "--jobs", "1")
    assert "\x1b" not in said
    assert all(path.is_relative_to(output) for path in set(tmp_path.rglob("*")) - before)
    page = (output / "verify.html").read_text()
    assert "<img src=x" not in page
    assert "<script>alert" not in page


def test_predictions_of_any_names_are_evaluated_into_their_folder(run_app, toy_run, tmp_path):
    original = Path(json.loads((toy_run[0] / "split.json").read_text())["root"])
    subject = json.loads((toy_run[0] / "split.json").read_text())["subjects"]["test"][0]
    for name in NAMES:
        for folder in ("target", "prediction"):
            path = tmp_path / folder / f"x{name}" / f"x{name}.nii.gz"
            path.parent.mkdir(parents=True)
            shutil.copyfile(original / subject / "anat" / f"{subject}_T2w.nii.gz", path)
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "made"
    folders = ("--prediction", tmp_path / "prediction", "--target", tmp_path / "target", "--output", output)
    status, said = run_app(evaluate.app, *folders, "--prediction-range", "0,1000000")
    assert status == 0, said
    assert all(path.is_relative_to(output) for path in set(tmp_path.rglob("*")) - before)
    page = (output / "report.html").read_text()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
