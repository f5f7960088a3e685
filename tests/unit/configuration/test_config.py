import importlib
import inspect
import itertools
import subprocess
import sys
import time

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import OmegaConf, open_dict

from mri_cyclegan.benchmark import PARTS
from mri_cyclegan.configuration.build import build_each
from mri_cyclegan.configuration.checks import check_config
from mri_cyclegan.configuration.schema import CONF_DIR, register, sweep_label
from mri_cyclegan.configuration.suggestions import PLUGINS, suggestions_for

EXPERIMENTS = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONF_DIR.glob("*/*.yaml")
    if path.parent.name not in ("experiment", "sweep") and not path.stem.startswith("_")
)


def composed(tmp_path, *overrides):
    register()
    paths = [f"run_dir={tmp_path}", f"data.root={tmp_path}", f"data.cache_root={tmp_path}/cache"]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", overrides=[*paths, *overrides])


def registered(option):
    networks = [f"+registration@extra_loss.paired.registration_{name}={option}" for name in "ab"]
    return [*networks, "extra_loss.paired.weight=1", "data.match=subject"]


def build(config, device="meta"):
    """Everything that a run is made of; networks without memory for their weights, unless they are to be used."""
    check_config(config)
    with torch.device(device):
        parts = {"model": instantiate(config.model)}
    parts |= {part: instantiate(config[part]) for part in ("data", "callbacks", "logger")}
    trainer = {key: value for key, value in config.trainer.items() if key != "precision"}
    parts["trainer"] = instantiate(trainer, logger=False, accelerator="cpu")
    return parts


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_instantiates(tmp_path, experiment):
    parts = build(composed(tmp_path, f"+experiment={experiment}"))
    assert isinstance(parts["model"], pl.LightningModule)
    assert isinstance(parts["data"], pl.LightningDataModule)
    assert isinstance(parts["trainer"], pl.Trainer)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_composes_and_instantiates(tmp_path, group, option):
    words = [f"{group}={option}"]
    if group == "registration":
        words = registered(option)
    if group == "extra_loss":
        words = [f"+extra_loss@extra_loss.mine={option}", "extra_loss.mine.weight=1", "data.match=subject"]
    words += ["data.pattern_a=*_T1w.nii", "data.pattern_b=*_T2w.nii"] if option == "pattern" else []
    build(composed(tmp_path, "+experiment=demo", "data.image_size=256", *words))


def test_the_baseline_is_the_documents(tmp_path):
    config = composed(tmp_path, "+experiment=baseline")
    assert (config.data.image_size, config.data.batch_size, config.data.phantom.spacing_mm) == (256, 1, 1.0)
    assert (config.model.adversarial_loss, config.model.pool_size) == ("lsgan", 50)
    assert (config.model.lambda_cycle, config.model.lambda_identity) == (10.0, 5.0)
    assert config.optimization.learning_rate_generators == 2e-4
    assert config.optimization.learning_rate_discriminators == 2e-4
    assert config.optimization.beta1 == 0.5
    assert (config.trainer.max_epochs, config.optimization.constant_share) == (200, 0.5)
    assert (config.generator.base_channels, config.generator.depth) == (64, 8)


def test_data_can_be_replaced_under_an_experiment(tmp_path):
    config = composed(tmp_path, "+experiment=demo", "data=bids")
    assert config.data.layout == "bids"
    assert config.data.phantom is None
    assert config.data.image_size == 64


@pytest.mark.parametrize("num_adjacent", [0, 2])
def test_one_key_widens_every_network(tmp_path, num_adjacent):
    parts = build(composed(tmp_path, "+experiment=demo", f"data.num_adjacent_slices={num_adjacent}"), device="cpu")
    stack = torch.zeros(1, 2 * num_adjacent + 1, 64, 64)
    for way in ("ab", "ba"):
        assert parts["model"].translate_stack(stack, way).shape == stack.shape
        assert parts["model"].translate(stack, way).shape == (1, 1, 64, 64)
    assert parts["model"].discriminator_a(stack).shape[1] == parts["model"].discriminator_b(stack).shape[1] == 1
    assert parts["data"].num_adjacent_slices == num_adjacent


@pytest.mark.parametrize("match", ["none", "position"])
@pytest.mark.parametrize("augmentation", [[], ["data.augmentation=null"]])
def test_every_way_to_draw_slices_composes(tmp_path, match, augmentation):
    data = build(composed(tmp_path, "+experiment=demo", f"data.match={match}", *augmentation))["data"]
    assert (data.matching.match, data.augmentation is None) == (match, bool(augmentation))


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("model.lambda_cyle", "lambda_cycle"),
        ("data.imagesize", "image_size"),
        ("generator.dept", "depth"),
        ("trainer.max_epoch", "max_epochs"),
        ("data.phantom.num_trian", "num_train"),
        ("callbacks.samples.num_case", "num_cases"),
    ],
)
def test_a_misspelled_key_is_refused_with_near_matches(tmp_path, key, suggestion):
    with pytest.raises(ConfigCompositionException, match=key.rpartition(".")[2]):
        composed(tmp_path, f"{key}=5")
    (line,) = suggestions_for([f"{key}=5", "+experiment=demo", "model.lambda_cycle=3", "data=bids"])
    assert line.startswith(f"Unknown key {key}. Did you mean ")
    assert suggestion in line
    # From an experiment file it reaches the configuration, and its constructor's check.
    config = composed(tmp_path, f"+{key}=5")
    with pytest.raises(ValueError, match=rf"Unknown key {key}\. Did you mean .*{suggestion}"):
        check_config(config)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_benchmark_has_the_settings_that_it_takes(part):
    register()
    module, function = PARTS[part]
    taken = set(inspect.signature(getattr(importlib.import_module(module), function)).parameters) - {"output_dir"}
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        assert set(compose("benchmark")[part]) == taken
        with pytest.raises(ConfigCompositionException, match="num_wokers"):
            compose("benchmark", overrides=["loader.num_wokers=4"])
    (line,) = suggestions_for(["loader.num_wokers=4"], "benchmark")
    assert line == "Unknown key loader.num_wokers. Did you mean loader.num_workers?"


def test_a_misspelled_top_level_key_is_refused(tmp_path):
    with pytest.raises(ConfigCompositionException, match="sead"):
        composed(tmp_path, "sead=1")
    with pytest.raises(ValueError, match=r"Unknown key sead\. Did you mean seed"):
        check_config(composed(tmp_path, "+sead=1"))


@pytest.mark.parametrize("target", ["torch.load", "os.system", "pathlib.Path.unlink", "mri_cyclegan.train.main"])
def test_only_listed_targets_may_be_built(tmp_path, target):
    config = composed(tmp_path, "+experiment=demo")
    with open_dict(config):
        config.callbacks["extra"] = {"_target_": target}
    with pytest.raises(ValueError, match=rf"callbacks\.extra\._target_: {target} may not be built"):
        check_config(config)


def test_a_target_that_does_not_exist_is_named(tmp_path):
    config = composed(tmp_path, "+experiment=demo", "generator._target_=mri_cyclegan.networks.unet.VNet")
    with pytest.raises(ValueError, match=r"generator\._target_: mri_cyclegan\.networks\.unet\.VNet does not exist"):
        check_config(config)


def test_an_image_size_that_does_not_fit_the_depth_is_refused(tmp_path):
    config = composed(tmp_path, "+experiment=demo", "data.image_size=98")
    with pytest.raises(
        ValueError, match=r"data\.image_size=98 does not fit the generator UNet: expected a multiple of 4"
    ):
        check_config(config)


@pytest.mark.parametrize("name", "ab")
def test_an_image_size_that_does_not_fit_a_registration_network_is_refused(tmp_path, name):
    words = [*registered("unet"), f"extra_loss.paired.registration_{name}.depth=5", "data.image_size=80"]
    config = composed(tmp_path, "+experiment=demo", *words)
    with pytest.raises(ValueError, match=r"data\.image_size=80 does not fit the network Registration"):
        check_config(config)


def test_a_loss_on_pairs_without_pairs_is_refused(tmp_path):
    config = composed(tmp_path, "+experiment=demo", "extra_loss.paired.weight=1")
    with pytest.raises(ValueError, match=r"extra_loss\.paired\.weight=1.*data\.match=none.*data\.match=subject"):
        check_config(config)
    words = ["+experiment=demo", "extra_loss.paired.weight=1", "data.match=position"]
    with pytest.raises(ValueError, match=r"data\.match=position puts another head there"):
        check_config(composed(tmp_path, *words))
    check_config(composed(tmp_path, *words, *registered("unet")))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.lambda_structure=1", "Unknown key model.lambda_structure. It is extra_loss.structure.weight now."),
        ("model.fades.cycle=0.5", "Unknown key model.fades.cycle. It is model.decay.cycle now."),
        (
            "+registration@model.registration_a=unet",
            "Unknown key model.registration_a. It is extra_loss.paired.registration_a now.",
        ),
    ],
)
def test_a_key_of_an_earlier_version_is_named_as_it_is_called_now(override, line):
    assert suggestions_for([override]) == [line]


def test_a_file_with_a_key_of_an_earlier_version_is_told_too(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown key model\.lambda_nce\. It is extra_loss\.nce\.weight now"):
        check_config(composed(tmp_path, "+model.lambda_nce=1"))


def test_null_switches_a_callback_off(tmp_path):
    config = composed(tmp_path, "callbacks.health=null")
    assert "health" not in build_each(config, "callbacks")
    assert len(build_each(config, "callbacks")) == len(config.callbacks) - 1


@pytest.mark.parametrize("words", [["+callbacks.mine=3"], ["+callbacks.mine={patience:3}"]])
def test_a_callback_without_a_class_is_refused(tmp_path, words):
    with pytest.raises(ValueError, match=r"callbacks\.mine: expected a class under _target_"):
        build_each(composed(tmp_path, *words), "callbacks")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+registration@extra_loss.paired.registration_a=unet"], "Give both networks and a weight, or neither"),
        (["extra_loss.paired.registration_a=unet"], r"expected networks\. Write \+registration@extra_loss\.paired\."),
        (["+trainer.gradient_clip_val=1"], r"trainer\.gradient_clip_val: .*Set optimization\.clip_gradients"),
        (["+trainer.accumulate_grad_batches=2"], r"trainer\.accumulate_grad_batches: .*accumulate_batches"),
        (["trainer.max_epochs=-1"], r"trainer\.max_epochs: expected at least 1, got -1"),
        (["trainer.precision=16-mixed", "optimization.accumulate_batches=2"], r"trainer\.precision=16-mixed"),
        (["trainer.precision=bf16-true", "model.gradient_penalty=interpolated"], r"trainer\.precision=bf16-true keeps"),
        (["+trainer.max_steps=10"], r"trainer\.max_steps: counts .*Set trainer\.max_epochs"),
        (["resume=yes"], r"resume: expected auto, or null for a new run; got 'yes'"),
        (["compile=yes"], r"compile: expected auto, true, false or cuda_graphs, got 'yes'"),
        (["initial_model=nowhere"], r"initial_model: nowhere is no folder"),
        (["model.decay.cycle=abc"], r"model\.decay\.cycle: .*got abc"),
        (["model.lambda_cycle=abc"], r"model\.lambda_cycle: expected 0 or more, got 'abc'"),
        (["model.cycle_weights=1.0"], r"model\.cycle_weights: expected two"),
        (["model.cycle_weights=[1,-5]"], r"model\.cycle_weights: expected 0 or more, got -5"),
        (["model.lambda_gradient_penalty=-1"], r"model\.lambda_gradient_penalty: expected 0 or more, got -1"),
        (
            ["extra_loss.nce.weight=1", "generator=attention_unet", "generator.depth=3"],
            r"extra_loss\.nce: AttentionUNet",
        ),
    ],
)
def test_mistakes_are_refused_before_any_scan_is_read(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        check_config(composed(tmp_path, "+experiment=demo", *words))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_takes_a_users_data(tmp_path, experiment):
    words = [f"+experiment={experiment}", "data=bids", "data.image_size=256"]
    parts = build(composed(tmp_path, *words))
    assert parts["data"].phantom is None


def test_an_image_too_small_for_the_discriminator_is_refused(tmp_path):
    config = composed(tmp_path, "+experiment=demo", "discriminator=image")
    with pytest.raises(ValueError, match=r"image_size=64 is too small for the discriminator PatchGAN: expected 96"):
        check_config(config)


def test_a_missing_value_is_named(tmp_path):
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", overrides=[f"run_dir={tmp_path}", "data=bids"])
    with pytest.raises(ValueError, match=r"No value for data\.root"):
        check_config(config)


def test_sweep_labels_are_names_of_folders():
    label = sweep_label("data.root=/a b/c\n+model.lambda_cycle=10\nmodel.cycle_weights=[1,2]\nseed=-2")
    assert label == "root--a-b-c_lambda_cycle-10_cycle_weights--1-2-_seed--2"
    assert sweep_label("a.x=0.0012345678\na.y=1.23456789e-05\na.z=0.125") == "x-0.001235_y-1.235e-05_z-0.125"
    assert "/" not in sweep_label("data.root=../../etc")
    assert len(sweep_label("data.root=" + "x" * 500)) <= 100
    assert sweep_label("") == "job"


@pytest.mark.parametrize("sweep", ["loss_weights", "architecture", "seeds"])
def test_every_combination_of_a_sweep_composes_and_instantiates(tmp_path, sweep):
    params = OmegaConf.load(CONF_DIR / "sweep" / f"{sweep}.yaml").hydra.sweeper.params
    values = [[f"{key}={value}" for value in str(values).split(",")] for key, values in params.items()]
    combinations = list(itertools.product(*values))
    assert 5 <= len(combinations) <= 6
    for words in combinations:
        check_config(composed(tmp_path, "+experiment=demo", f"sweep={sweep}", *words))


def test_the_search_asks_for_pairs_to_validate_on(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs the extra optuna")
    config = composed(tmp_path, "+experiment=demo", "sweep=optuna")
    assert config.callbacks.best_validation.required
    for key in OmegaConf.load(CONF_DIR / "sweep" / "optuna.yaml").hydra.sweeper.params:
        assert OmegaConf.select(config, key) is not None


@pytest.mark.parametrize(
    ("word", "extra"),
    [("sweep=optuna", "optuna"), ("hydra/launcher=gpus", "joblib"), ("hydra/launcher=slurm", "submitit")],
)
def test_a_missing_plugin_is_named_with_the_command_that_installs_it(monkeypatch, word, extra):
    monkeypatch.setattr("mri_cyclegan.configuration.suggestions.find_spec", lambda name: None)
    (line,) = suggestions_for(["-m", "+experiment=demo", word])
    assert line == f"{word} needs a plugin: pip install 'mri-cyclegan[{extra}]'"
    monkeypatch.setattr("mri_cyclegan.configuration.suggestions.find_spec", lambda name: object())
    assert suggestions_for(["-m", "+experiment=demo", word]) == []


def test_every_launcher_of_ours_has_its_extra_in_the_advice():
    ours = {f"hydra/launcher={path.stem}" for path in (CONF_DIR / "hydra" / "launcher").glob("*.yaml")}
    assert ours == {"hydra/launcher=gpus", "hydra/launcher=slurm", "hydra/launcher=ray_gpu"}
    assert ours <= set(PLUGINS)


def test_help_answers_at_once_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['train', '--help']\n"
        "from mri_cyclegan.train import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'monai', 'pytorch_lightning', 'matplotlib', 'nibabel'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 10  # 0.7 s on a quiet machine
    assert result.stdout.splitlines()[-1] == "[]"
    assert "lambda_cycle" in result.stdout
    assert f"experiment: {', '.join(EXPERIMENTS)}" in result.stdout
