"""Configurations of strangers: nothing is built but what is allowed, however it is named or hidden."""

import pytest
from hostile_targets import OUTSIDE, WAYS
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.checks import check_config, resolve_and_check
from mri_cyclegan.configuration.schema import CONF_DIR, register


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


def test_what_was_checked_is_what_is_built(composed, monkeypatch):
    """A reference that means nothing now, and another thing later."""
    changed = with_callback(composed, "${oc.create:${oc.decode:${callbacks.t.${oc.env:LATER,none}}}}")
    with open_dict(changed):
        changed.callbacks.t = {"none": "{}", "now": "'{_target_: os.system, command: touch hurt}'"}
    monkeypatch.delenv("LATER", raising=False)
    plain = resolve_and_check(changed)
    monkeypatch.setenv("LATER", "now")
    assert plain.callbacks.hostile == {}


def test_what_would_become_a_reference_is_refused(composed):
    changed = with_callback(composed, {"_target_": "pytorch_lightning.callbacks.Timer", "duration": r"\${oc.env:HOME}"})
    with pytest.raises(ValueError, match=r"callbacks\.hostile\.duration: expected a value without"):
        resolve_and_check(changed)


def test_what_is_allowed_is_built(composed):
    check_config(composed)
    assert {type(callback).__name__ for callback in build(composed.callbacks).values()} >= {"HealthMonitor"}
    check_config(with_callback(composed, {"_target_": "pytorch_lightning.callbacks.Timer", "duration": "00:01:00:00"}))
