"""docs/extending.md does what it says: its files are written, its commands run, at toy size."""

import csv
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from golden import TOY

DOC = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(my_\w+/\S+|pyproject\.toml)`[^`]*:\n\n```\w+\n(.*?)```", DOC, re.DOTALL))
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", DOC, re.DOTALL) for line in block.splitlines()
]
TWO_STEPS = [*TOY, "trainer.max_epochs=1", "trainer.limit_train_batches=2", "evaluate=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a user would start the commands, with the package of the document installed."""
    folder = tmp_path_factory.mktemp("extending")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (folder / "my_lab" / "__init__.py").touch()
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    installed = folder / f"my_lab-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (installed / "entry_points.txt").write_text("".join(groups))
    return folder


def run(folder, words, added=()):
    words = [*words[1:], *(TWO_STEPS if words in COMMANDS and "mri_cyclegan.train" in words else added)]
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def command(text):
    """The document's command that has a text in it."""
    (found,) = [words for words in COMMANDS if text in " ".join(words)]
    return found


def columns(run_dir):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return set(next(csv.reader(file)))


def test_the_document_has_the_files_that_it_names():
    assert FILES.keys() == {
        "my_lab/nets.py",
        "my_lab/losses.py",
        "my_lab/callbacks.py",
        "my_lab/formats.py",
        "my_lab/metrics.py",
        "my_conf/generator/mine.yaml",
        "my_conf/experiment/mine.yaml",
        "pyproject.toml",
    }
    assert len(COMMANDS) == 5


def test_a_generator_of_ones_own(folder):
    code, output = run(folder, command("generator=mine"))
    assert code == 0, output
    model = json.loads((folder / "outputs" / "mine" / "model" / "model.json").read_text())
    assert model["generators"]["ab"]["name"] == "my_lab.nets.Generator"
    assert model["generators"]["ab"]["arguments"] == {"width": 8}
    code, output = run(folder, command("mri_cyclegan.evaluate"))
    assert code == 0, output
    metrics = json.loads((folder / "outputs" / "mine" / "evaluation" / "metrics.json").read_text())
    assert metrics["summary"]["ab"]["CycleGAN"]["foreground"]["p95"]["mean"] > 0
    # What the run wrote down is a stranger's word, wherever it is read from.
    words = ["python", "-m", "mri_cyclegan.train", "--config-dir", "outputs/mine", "--config-name", "config"]
    code, output = run(folder, words, ["run_dir=refused", "hydra.run.dir=refused"])
    assert code != 0
    assert "generator._target_: my_lab.nets.Generator may not be built from a configuration" in output


def test_a_loss_of_ones_own(folder):
    code, output = run(folder, command("outputs/edges"))
    assert code == 0, output
    assert {"loss/edge_ab_step", "loss/edge_ba_epoch"} <= columns(folder / "outputs" / "edges")


@pytest.mark.slow
def test_a_sweep_over_the_weight_of_a_loss_of_ones_own(folder):
    code, output = run(folder, command("-m --config-dir"))
    assert code == 0, output
    for job in ("0_weight-1", "1_weight-4"):
        assert "loss/edge_ab_step" in columns(folder / "outputs" / "sweep_edges" / job)


def test_a_callback_of_ones_own(folder):
    code, output = run(folder, command("callbacks.diary"))
    assert code == 0, output
    assert re.fullmatch(r"epoch 1: \d+\.\d{3}\n", (folder / "diary.txt").read_text())


def test_a_format_and_a_metric_of_an_installed_package(folder):
    random = np.random.default_rng(0)
    shape = (12, 14, 10)
    target = np.zeros(shape)
    target[2:-2, 2:-2, 1:-1] = 0.2 + 0.8 * random.random((8, 10, 8))
    images = {"target": target, "prediction": np.clip(target + 0.05 * random.standard_normal(shape), 0, 1)}
    for name, image in images.items():
        (folder / name).mkdir()
        np.savez(folder / name / "sub-01_T2w.scan.npz", image=image, affine=np.diag([4.0, 4, 4, 1]))
    words = ["python", "-m", "mri_cyclegan.evaluate", "--prediction", "prediction", "--target", "target"]
    code, output = run(folder, [*words, "--output", "compared"])
    assert code == 0, output
    assert "p95" in (folder / "compared" / "metrics.csv").read_text().splitlines()[0]
    assert "P95 error" in (folder / "compared" / "report.html").read_text()
    content = json.loads((folder / "compared" / "metrics.json").read_text())
    assert content["metrics"]["p95"] == {"label": "P95 error", "unit": "", "higher_is_better": False, "digits": 4}
    (summary,) = [of_direction for of_direction in content["summary"].values() if of_direction]
    assert 0.05 < summary[content["method"]]["foreground"]["p95"]["mean"] < 0.3


def test_a_package_that_cannot_be_loaded_is_named(folder, tmp_path):
    installed = tmp_path / "my_lab-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[mri_cyclegan.formats]\nbroken = nowhere:THING\n")
    code, output = run(tmp_path, ["python", "-c", "import mri_cyclegan.data.formats.registry"])
    assert code != 0
    assert "my-lab: its entry point broken of mri_cyclegan.formats cannot be loaded" in output
    (installed / "entry_points.txt").write_text("[mri_cyclegan.formats]\nbroken = json:dumps\n")
    code, output = run(tmp_path, ["python", "-c", "import mri_cyclegan.data.formats.registry"])
    assert "is a function, expected a mri_cyclegan.data.formats.format.Format" in output
