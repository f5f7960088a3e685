"""What makes training faster or smaller leaves its numbers as they are."""

import csv

import pytest
import torch
from example_training.cyclegans import fit, make_batches, make_cyclegan
from pytorch_lightning.loggers import CSVLogger
from torch.autograd.graph import saved_tensors_hooks

from mri_cyclegan.training.compilation import compile_networks
from mri_cyclegan.training.loss_logger import LossLogger


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def trained(**settings):
    model = make_cyclegan(**settings)
    return fit(model, make_batches(3)), weights(model)


def bytes_kept(model, batch):
    """What the generators' passes keep for their gradients."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model.generate(batch["a"], batch["b"], {"identity": 1.0, "cycle": 1.0})
    return sum(kept.values())


def test_recomputed_activations_give_the_same_weights_for_less_memory():
    (losses, after), (expected_losses, expected) = trained(recompute=True), trained()
    assert losses == expected_losses
    assert torch.equal(after, expected)
    (batch,) = make_batches(1, batch_size=4, side=32)
    assert bytes_kept(make_cyclegan(recompute=True), batch) < 0.4 * bytes_kept(make_cyclegan(), batch)


def test_adam_in_one_kernel_moves_weights_as_adam_does(monkeypatch):
    adam, used = torch.optim.Adam, []

    def plain_adam(*args, fused, **settings):
        used.append(fused)
        return adam(*args, **settings)

    _, fused = trained()
    monkeypatch.setattr(torch.optim, "Adam", plain_adam)
    _, plain = trained()
    assert used == [True, True]
    assert torch.allclose(fused, plain, rtol=0, atol=1e-12)


def test_losses_are_logged_now_and_then_and_as_the_mean_of_the_epoch(tmp_path):
    model = make_cyclegan()
    per_batch = []

    def log(module, losses):
        per_batch.append(losses["generators"].item())
        LossLogger.log(model.loss_logger, module, losses)

    import pytorch_lightning as pl
    from torch.utils.data import DataLoader

    model.loss_logger.log = log
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=CSVLogger(tmp_path, name="", version=""),
        log_every_n_steps=3,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(make_batches(4), batch_size=None))
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    steps = {int(row["step"]): float(row["loss/generators_step"]) for row in rows if row["loss/generators_step"]}
    assert steps == {index: pytest.approx(per_batch[index], rel=1e-5) for index in (2, 5)}
    means = [float(row["loss/generators_epoch"]) for row in rows if row["loss/generators_epoch"]]
    assert means == pytest.approx([sum(per_batch[:4]) / 4, sum(per_batch[4:]) / 4], rel=1e-5)


@pytest.mark.parametrize(
    ("mode", "device", "num_batches", "expected"),
    [
        ("auto", "cpu", 1e6, False),
        ("auto", "cuda", 100, False),
        ("auto", "cuda", 1e6, True),
        (True, "cpu", 1, True),
        (False, "cuda", 1e6, False),
        ("cuda_graphs", "cuda", 1, "cuda_graphs"),
    ],
)
def test_where_networks_are_compiled(mode, device, num_batches, expected, monkeypatch, caplog):
    monkeypatch.setattr("mri_cyclegan.training.compilation.find_spec", lambda name: name)
    network = torch.nn.Conv2d(1, 1, 1)
    names = list(network.state_dict())
    with caplog.at_level("INFO"):
        assert compile_networks([network], mode, torch.device(device), num_batches) == expected
    assert (network._compiled_call_impl is not None) == bool(expected)
    assert list(network.state_dict()) == names
    assert ("not compiled" in caplog.text) == (mode == "auto" and not expected)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [True, "cuda_graphs"])
@pytest.mark.parametrize("settings", [{}, {"gradient_penalty": "zero_centered"}, {"recompute": True}])
def test_compiled_networks_give_the_same_weights(mode, settings):
    model = make_cyclegan(**settings)
    model.compiled = compile_networks(model.networks, mode, torch.device("cpu"), 1)
    losses = fit(model, make_batches(3))
    expected_losses, expected = trained(**settings)
    for found, wanted in zip(losses, expected_losses, strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)
    assert torch.allclose(weights(model), expected, rtol=0, atol=1e-9)


def test_an_epoch_that_ended_early_does_not_count_in_the_next(tmp_path):
    model = make_cyclegan()
    model.loss_logger.means.add({"of an earlier fit": torch.tensor(1.0)})
    fit(model, make_batches(2))
    assert model.loss_logger.means.num_batches == 0
