"""Classes of other packages are built if the user has named them, and if they are something to be built."""

import pytest
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from mri_cyclegan import trusted_classes
from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.checks import check_config
from mri_cyclegan.configuration.hydra_policy import CheckedLoader
from mri_cyclegan.configuration.named_targets import named_in_overrides
from tests.unit.configuration.test_config import composed as compose_training


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch):
    monkeypatch.setattr(trusted_classes, "_trusted", set())


def composed(tmp_path, *overrides):
    return compose_training(tmp_path, "+experiment=demo", *overrides)


def test_what_is_typed_is_built(tmp_path):
    config = composed(tmp_path, "+callbacks.mine={_target_:torch.nn.Conv2d,in_channels:1,out_channels:2,kernel_size:3}")
    check_config(config)
    assert type(build(config.callbacks.mine)).__name__ == "Conv2d"


def test_the_same_in_a_file_is_refused(tmp_path):
    config = composed(tmp_path)
    with open_dict(config):
        config.callbacks.mine = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": 3}
    with pytest.raises(
        ValueError, match=r"callbacks\.mine\._target_: torch\.nn\.Conv2d may not be built.*--config-dir"
    ):
        check_config(config)


@pytest.mark.parametrize("target", ["subprocess.Popen", "pathlib.Path", "torch.nn.modules.conv.Tensor"])
def test_what_is_typed_must_be_a_part_of_a_training(tmp_path, target):
    config = composed(tmp_path, f"+callbacks.mine._target_={target}")
    with pytest.raises(ValueError, match=rf"callbacks\.mine\._target_: {target} may not be built; expected a subclass"):
        check_config(config)


@pytest.mark.parametrize("target", ["os.system", "torch.nn", "torch.nn.Nothing", "nowhere.Thing"])
def test_what_is_typed_must_be_a_class(tmp_path, target):
    config = composed(tmp_path, f"+callbacks.mine._target_={target}")
    with pytest.raises(ValueError, match=rf"callbacks\.mine\._target_: {target} (is no class|does not exist)"):
        check_config(config)


def test_a_key_that_the_class_does_not_take_is_named_with_the_way_out(tmp_path):
    config = composed(tmp_path, "generator._target_=torch.nn.Identity", "optimization._target_=torch.nn.ReLU")
    with pytest.raises(ValueError, match=r"torch\.nn\.ReLU takes inplace; remove other keys with ~optimization\.\w+"):
        check_config(config)


def test_targets_in_overrides():
    overrides = ["a.b=c.d", "x._target_='my.A'", '+y={z: {"_target_": "my.B", n: 1}}', "w._target_=my.C,my.D", "~q"]
    assert named_in_overrides(overrides) == {"my.A", "my.B", "my.C", "my.D"}


def named_in(folder, *path):
    """Classes named by the configuration ``config`` of a folder, given as --config-dir."""
    search_path = create_config_search_path(None)
    search_path.prepend("command-line", f"file://{folder}", SearchPathQuery("schema"))
    loader = CheckedLoader(search_path)
    loader.load_configuration("/".join([*path, "config"]), [], RunMode.RUN)
    return loader.named


def test_targets_in_files_but_those_of_a_run(tmp_path):
    own, run = tmp_path / "own", tmp_path / "own" / "run"
    for folder, name in ((own / "generator", "my.A"), (run, "my.B"), (run / ".hydra", "my.C"), (run / "model", "my.D")):
        folder.mkdir(parents=True)
        nested = {"x": [{"y": {"_target_": name}}], "_target_": "${z}"}
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(nested)))
    (own / "broken.yaml").write_text("{[")
    (own / "code.yaml").write_text("a: !!python/object/apply:os.system ['touch hurt']")
    (run / "checkpoints").mkdir()
    assert named_in(own, "generator") == {"my.A"}
    for inside in (run, run / ".hydra", run / "model"):
        assert named_in(inside) == set()
    for below in (["run"], ["run", ".hydra"], ["run", "model"]):
        assert named_in(own, *below) == set()


def test_a_file_that_is_not_used_names_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text("a: {_target_: my.A}")
    (tmp_path / "other.yaml").write_text("a: {_target_: my.B}")
    assert named_in(tmp_path) == {"my.A"}
