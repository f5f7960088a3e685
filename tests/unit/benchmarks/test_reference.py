"""A reference implementation beside ours; here a small stand-in with its interface."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from mri_cyclegan.benchmarks.reference import Reference, options
from mri_cyclegan.configuration.schema import CONF_DIR, register

CPU = torch.device("cpu")
STAND_IN = """
import json, time, torch

class CycleGANModel:
    model_names = ["G_A"]

    def __init__(self, opt):
        json.dump({key: str(value) for key, value in vars(opt).items()}, open("options.json", "w"))

        self.netG_A = torch.nn.Conv2d(1, 1, 1)

    def set_input(self, input):
        assert input["A"].shape == input["B"].shape == (3, 1, 64, 64)
        assert -1 <= input["A"].min() and input["A"].max() <= 1

    def optimize_parameters(self):
        time.sleep(0.02)
"""


def composed(*words):
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", overrides=["run_dir=run", *words])


def checkout(folder, content=STAND_IN):
    (folder / "models").mkdir()
    (folder / "models" / "cycle_gan_model.py").write_text(content)
    return folder


def test_its_steps_are_timed_in_a_process_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = composed("+experiment=demo", "generator=resnet", "data.batch_size=3", "model.lambda_identity=0.5")
    step_s = Reference(checkout(tmp_path), config, CPU).step_s(5)
    assert 0.02 <= step_s < 0.1
    given = (tmp_path / "options.json").read_text()
    assert '"netG": "resnet_9blocks"' in given
    assert '"lambda_identity": "0.5"' in given
    assert "models" not in __import__("sys").modules


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["generator=resnet", "generator.num_blocks=6"], "resnet_6blocks"),
        (["generator=unet"], "unet_256"),
        (["generator=unet", "generator.depth=7"], "unet_128"),
    ],
)
def test_networks_of_the_same_kind_and_size(words, name):
    config = composed("+experiment=baseline", *words, "generator.base_channels=48")
    found = options(config, CPU)
    assert (found["netG"], found["ngf"], found["ndf"], found["n_layers_D"]) == (name, 48, 64, 3)
    assert (found["lambda_A"], found["lambda_identity"]) == (10.0, 0.5), "identity is relative to the cycle there"


def test_what_it_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ResNets of 6 and 9 blocks and U-Nets of depth 7 and 8, not .*depth"):
        options(composed("+experiment=demo"), CPU)
    with pytest.raises(ValueError, match="ResNets of 6 and 9 blocks"):
        options(composed("+experiment=baseline", "generator=swin_unetr"), CPU)
    with pytest.raises(ValueError, match="a PatchGAN with instance normalization"):
        options(composed("+experiment=baseline", "discriminator=pixel"), CPU)
    with pytest.raises(ValueError, match="no training without a cycle"):
        options(composed("+experiment=baseline", "model.lambda_cycle=0"), CPU)
    with pytest.raises(ValueError, match=f"train.reference: {tmp_path} has no models/cycle_gan_model.py"):
        Reference(tmp_path, composed("+experiment=baseline"), CPU)


def test_its_error_is_told(tmp_path):
    config = composed("+experiment=baseline")
    reference = Reference(checkout(tmp_path, "raise RuntimeError('too old')"), config, CPU)
    with pytest.raises(ValueError, match=r"cannot be run: RuntimeError: too old"):
        reference.step_s(1)
