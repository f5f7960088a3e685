"""Part train: what it writes, and that the naive step is not faster."""

import json

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from mri_cyclegan.benchmarks.training import benchmark_training
from mri_cyclegan.configuration.schema import CONF_DIR, register

TOY = [
    "data.spacing_mm=8",
    "data.image_size=32",
    "generator.base_channels=4",
    "discriminator.base_channels=4",
    "discriminator.num_layers=1",
    "data.phantom.spacing_mm=8",
    "data.phantom.num_train=4",
    "data.phantom.num_val=2",
    "data.phantom.num_test=2",
]


def in_quotes(words):
    """As Hydra takes a list of words."""
    return f"train.overrides=[{','.join(f'{chr(34)}{word}{chr(34)}' for word in ['trainer=cpu', *words])}]"


def test_ours_is_measured_beside_the_naive_step_and_end_to_end(tmp_path, phantom_root, run_benchmark):
    words = [*TOY, f"data.root={phantom_root}", f"data.cache_root={phantom_root}/cache"]
    size = ["train.num_steps=2", "train.num_rounds=1", "train.batch_sizes=[1,2]"]
    result = run_benchmark("part=train", *size, in_quotes(words), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder,) = tmp_path.glob("outputs/benchmark/*")
    written = json.loads((folder / "train.json").read_text())
    assert [of["batch_size"] for of in written["by_batch_size"]] == [1, 2]
    for of in written["by_batch_size"]:
        speeds = of["images_per_s"]
        assert set(speeds) == {"ours", "naive", "ours, end to end"}
        assert all(0 < speed["min"] <= speed["median"] <= speed["max"] for speed in speeds.values())
        for name, ratio in of["times_naive"].items():
            assert ratio == pytest.approx(speeds[name]["median"] / speeds["naive"]["median"])
        assert of["end_to_end_share"] == pytest.approx(
            of["times_naive"]["ours, end to end"] / of["times_naive"]["ours"]
        )
        assert 0 <= of["waiting_share"] < 1
        assert 0 < of["share_of_matrix_rate"]["ours"] < 1
        assert of["precision"] == "32-true" and of["compiled"] is False
    one, two = written["by_batch_size"]
    assert one["flops_per_pair"] == two["flops_per_pair"] > 1e6
    assert Image.open(folder / "train.png").size[0] > 500
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "benchmark"))) == [
        "train.json",
        "train.png",
    ], "the trainings' own files are removed"
    for word in ("batch size 2", "GFLOP a pair", "% of the bare step's speed", "train.json"):
        assert word in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_the_naive_step_is_not_faster_than_ours(tmp_path, run_benchmark):
    words = ["train.num_steps=5", "train.num_rounds=3", "train.end_to_end=false"]
    result = run_benchmark("part=train", *words, in_quotes([]), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = tmp_path.glob("outputs/benchmark/*/train.json")
    (of,) = json.loads(path.read_text())["by_batch_size"]
    assert of["times_naive"]["ours"] > 0.9


@pytest.mark.parametrize(
    ("settings", "overrides", "message"),
    [
        (
            {"num_steps": 0},
            [],
            r"train.num_steps, train.num_rounds, train.batch_sizes: expected 1 or more, got 0, 5 and \[None\]",
        ),
        ({"batch_sizes": []}, [], r"expected 1 or more, got 20, 5 and \[\]"),
        ({}, ["optimization.num_discriminator_steps=5"], "the naive step has no optimization.num_discriminator"),
        ({}, ["model.adversarial_loss=hinge"], "the naive step has no model.adversarial_loss=hinge"),
        ({"reference": "nowhere"}, [], "train.reference: nowhere has no models/cycle_gan_model.py"),
        ({}, ["data.image_size=98"], "data.image_size=98 does not fit the generator"),
    ],
)
def test_a_mistake_is_told(tmp_path, settings, overrides, message):
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        given = OmegaConf.to_container(compose("benchmark").train) | {"end_to_end": False} | settings
        with pytest.raises(ValueError, match=message):
            benchmark_training(tmp_path, **given | {"overrides": ["trainer=cpu", *overrides]})
