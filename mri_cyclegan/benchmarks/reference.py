"""The reference implementation of CycleGAN, measured beside ours in a separate process.

It is not part of this package: give a checkout of https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix.
"""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from mri_cyclegan.configuration.schema import DictConfig, num_channels


class Reference:
    """The reference's training step with networks of the same kind and size as ours, on noise already on the device.

    It has neither moving average nor structure loss, both of which our step computes, and trains in float32.

    Args:
        folder: the checkout, whose code is run.
        config: configuration of our training.
        device: device to compute on.

    Raises:
        ValueError: the folder is not such a checkout, or the reference does not support the configuration.
    """

    def __init__(self, folder: Path, config: DictConfig, device: torch.device) -> None:
        self.folder = folder.expanduser().resolve()
        if not (self.folder / "models" / "cycle_gan_model.py").is_file():
            raise ValueError(
                f"train.reference: {folder} has no models/cycle_gan_model.py. Give a checkout of "
                "https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix."
            )
        self.settings = {
            "options": options(config, device),
            "batch_size": config.data.batch_size,
            "image_size": config.data.image_size,
        }

    def step_s(self, num_steps: int) -> float:
        """Mean seconds per step, over ``num_steps`` steps.

        Raises:
            ValueError: the reference fails; the message ends with its error.
        """
        words = [sys.executable, "-m", __name__, str(self.folder), json.dumps(self.settings | {"num_steps": num_steps})]
        result = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or [f"it ended with {result.returncode}"])[-1]
            raise ValueError(f"train.reference: {self.folder} cannot be run: {reason}")
        return float(result.stdout.split()[-1])


def options(config: DictConfig, device: torch.device) -> dict[str, Any]:
    """Translate a training configuration to the reference's options.

    Raises:
        ValueError: the reference does not support the generator, the discriminator or a training without a cycle loss.
    """
    name = _name_of(config.generator)
    _require_patchgan(config.discriminator)
    if not config.model.lambda_cycle:
        raise ValueError("train.reference: the reference has no training without a cycle. Raise model.lambda_cycle.")
    channels = num_channels(config.data.num_adjacent_slices)
    generator, model = config.generator, config.model
    return {
        "isTrain": True,
        "gpu_ids": [device.index or 0] if device.type == "cuda" else [],
        "checkpoints_dir": ".",
        "name": "benchmark",
        "preprocess": "none",
        "direction": "AtoB",
        "input_nc": channels,
        "output_nc": channels,
        "ngf": generator.base_channels,
        "netG": name,
        "no_dropout": not generator.get("dropout", 0.0),
        "ndf": config.discriminator.base_channels,
        "netD": "n_layers",
        "n_layers_D": config.discriminator.num_layers,
        "norm": "instance",
        "init_type": "normal",
        "init_gain": 0.02,
        "lambda_A": float(model.lambda_cycle),
        "lambda_B": float(model.lambda_cycle),
        "lambda_identity": float(model.lambda_identity) / float(model.lambda_cycle),
        "pool_size": model.pool_size,
        "gan_mode": "lsgan",
        "lr": config.optimization.learning_rate_generators,
        "beta1": config.optimization.beta1,
    }


def _name_of(generator: DictConfig) -> str:
    kind = str(generator["_target_"]).rpartition(".")[2]
    names = {("ResNet", 6): "resnet_6blocks", ("ResNet", 9): "resnet_9blocks", ("UNet", 7): "unet_128"}
    names[("UNet", 8)] = "unet_256"
    name = names.get((kind, generator.get("num_blocks", generator.get("depth"))))
    if name is None:
        raise ValueError(
            "train.reference: the reference has ResNets of 6 and 9 blocks and U-Nets of depth 7 and 8, not "
            f'{dict(generator)}. Give train.overrides=["generator=resnet"].'
        )
    return name


def _require_patchgan(discriminator: DictConfig) -> None:
    plain = str(discriminator["_target_"]).endswith(".PatchGAN") and not (
        discriminator.spectral_norm or discriminator.minibatch_stdev
    )
    if not plain:
        raise ValueError("train.reference: it only has a PatchGAN with instance normalization. Choose one.")


def main() -> None:
    """Entry point of the separate process: measure, and print the seconds per step."""
    sys.path.insert(0, sys.argv[1])
    settings = json.loads(sys.argv[2])
    from models.cycle_gan_model import CycleGANModel  # type: ignore[import-not-found]

    named = Namespace(**settings["options"])
    named.device = torch.device(f"cuda:{named.gpu_ids[0]}" if named.gpu_ids else "cpu")
    model = CycleGANModel(named)
    for name in model.model_names:  # newer versions of the reference do this later, others already have
        getattr(model, f"net{name}").to(named.device)
    side = settings["image_size"]
    a, b = 2 * torch.rand(2, settings["batch_size"], named.input_nc, side, side, device=named.device) - 1
    for step in range(3 + settings["num_steps"]):
        if step == 3:
            _wait(named.device)
            start = perf_counter()
        model.set_input({"A": a, "B": b, "A_paths": "", "B_paths": ""})
        model.optimize_parameters()
    _wait(named.device)
    print((perf_counter() - start) / settings["num_steps"])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
