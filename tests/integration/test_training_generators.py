"""Every generator trains, is saved, and translates what it was trained on."""

import pytest
import torch

from mri_cyclegan.inference.model import load_model
from mri_cyclegan.train import train

SMALL = {
    "resnet": ["base_channels=4", "num_blocks=1"],
    "transformer_unet": ["base_channels=4", "depth=2", "num_blocks=1", "embedding=8", "num_heads=2"],
    "attention_unet": ["base_channels=4", "depth=2"],
    "swin_unetr": ["features=12"],
    "unet_small": ["base_channels=4", "residual=true"],
}


@pytest.mark.parametrize("option", SMALL)
def test_two_steps(tmp_path, compose_run, toy_overrides, option):
    words = [word for word in toy_overrides if not word.startswith("generator.")]
    words += [f"generator={option}", *(f"generator.{word}" for word in SMALL[option])]
    size = 64 if option == "swin_unetr" else 32
    words += [f"data.image_size={size}", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "evaluate=false"]
    train(compose_run(tmp_path, *words))
    model = load_model(tmp_path)
    image = torch.rand(1, 1, size, size) * 2 - 1
    assert not torch.equal(model.networks["ab"](image), model.networks["ba"](image))
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for name, tensor in checkpoint.items() if name.startswith("generator"))
