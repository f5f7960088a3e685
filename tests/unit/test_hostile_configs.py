"""Configurations of strangers: nothing is built but what is allowed, however it is named or hidden."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from mri_cyclegan.config import CONF_DIR, build, check_config, register

OUTSIDE = [
    "os.system",
    "os.remove",
    "os.execvp",
    "posix.system",
    "subprocess.run",
    "subprocess.Popen",
    "subprocess.check_output",
    "shutil.rmtree",
    "pathlib.Path",
    "pathlib.Path.unlink",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "builtins.__import__",
    "importlib.import_module",
    "runpy.run_path",
    "pickle.loads",
    "pickle.load",
    "numpy.load",
    "joblib.load",
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load",
    "torch.nn.Linear",
    "yaml.unsafe_load",
    "pydoc.locate",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "hydra.utils.get_method",
    "hydra._internal.utils._locate",
    "webbrowser.open",
    "urllib.request.urlopen",
    "",
    "Trainer",
    ".os.system",
    # our own, but not to be built
    "mri_cyclegan.train.main",
    "mri_cyclegan.train.train",
    "mri_cyclegan.config.build",
    "mri_cyclegan.evaluate.main",
    "mri_cyclegan.networksx.unet.UNet",
    # beside what is allowed
    "mri_cyclegan.networks",
    "mri_cyclegan.networks.unet",
    "mri_cyclegan.networks.unet.torch",
    "mri_cyclegan.networks.unet.torch.load",
    "mri_cyclegan.networks.unet.nn.Linear",
    "mri_cyclegan.networks.unet.Tensor",
    "mri_cyclegan.networks.unet.init_normal",
    "mri_cyclegan.networks..unet.UNet",
    "mri_cyclegan.networks.unet.UNet.forward",
    "mri_cyclegan.networks.unet.UNet.__init__.__globals__",
    "mri_cyclegan.data.atomic_folder.remove_abandoned_files",
    "mri_cyclegan.data.phantom.Path",
    "mri_cyclegan.data.phantom.Phantom.write",
    "mri_cyclegan.training.cyclegan.checkpoint",
    "mri_cyclegan.training.callbacks.checkpoints.zipfile.ZipFile",
    "pytorch_lightning.Trainer.fit",
    "pytorch_lightning.Trainerx",
    "pytorch_lightning.callbacks.model_checkpoint.os.system",
    "pytorch_lightning.callbacks.model_checkpoint.shutil",
    "pytorch_lightning.callbacks.model_checkpoint.Path",
    "pytorch_lightning.loggers.csv_logs.os",
]

# How a node may be hidden; each gets the target, and returns what stands in the configuration.
WAYS = {
    "plain": lambda target: {"_target_": target},
    "with arguments": lambda target: {"_target_": target, "_args_": ["touch hurt"]},
    "partial": lambda target: {"_target_": target, "_partial_": True},
    "not recursive": lambda target: {"_target_": target, "_recursive_": False, "_convert_": "all"},
    "in a list": lambda target: [[{"x": {"_target_": target}}]],
    "in an argument": lambda target: {"_target_": ALLOWED, "patience": {"_target_": target}},
    "in a positional argument": lambda target: {"_target_": ALLOWED, "_args_": [{"_target_": target}]},
    "put together": lambda target: {"first": target[:3], "_target_": "${.first}" + target[3:]},
    "from elsewhere": lambda target: {"_target_": "${name}"} if target == "os.system" else {"_target_": target},
    "another node": lambda target: {"one": {"_target_": target}, "two": "${.one}"},
    "made by a resolver": lambda target: "${oc.create:{_target_: '" + target + "'}}",
    "decoded": lambda target: "${oc.create:${oc.decode:\"{_target_: '" + target + "'}\"}}",
}
ALLOWED = "mri_cyclegan.training.callbacks.health.HealthMonitor"


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", overrides=["+experiment=demo", f"run_dir={folder}", "name=os.system"])


def with_callback(config, node):
    changed = OmegaConf.create(OmegaConf.to_container(config))
    with open_dict(changed):
        changed.callbacks["hostile"] = node
    return changed


@pytest.mark.parametrize("target", OUTSIDE)
def test_what_is_not_allowed_is_refused_by_name(composed, target):
    with pytest.raises(ValueError, match=r"callbacks\.hostile\._target_"):
        check_config(with_callback(composed, {"_target_": target}))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("target", ["os.system", "mri_cyclegan.networks.unet.init_normal"])
def test_however_it_is_hidden(composed, target, way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"_target_.*(may not be built|does not exist)"):
        check_config(with_callback(composed, WAYS[way](target)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["data", "generator", "discriminator", "optimization", "model", "trainer", "logger"])
def test_wherever_it_stands(composed, place):
    changed = OmegaConf.create(OmegaConf.to_container(composed))
    with open_dict(changed):
        changed[place]["_target_"] = "os.system"
    with pytest.raises(ValueError, match=rf"{place}._target_: os.system may not be built"):
        check_config(changed)


def test_what_is_allowed_is_built(composed):
    check_config(composed)
    assert {type(callback).__name__ for callback in build(composed.callbacks).values()} >= {"HealthMonitor"}
    check_config(with_callback(composed, {"_target_": "pytorch_lightning.callbacks.Timer", "duration": "00:01:00:00"}))
