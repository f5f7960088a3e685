"""Back to a checkpoint in the middle of a training, which goes on more slowly."""

import pytorch_lightning as pl
import torch
from example_training.cyclegans import fit, make_batches, make_cyclegan

from mri_cyclegan.training.callbacks.divergence import roll_back
from mri_cyclegan.training.callbacks.rank_states import RankStates


class BackAndForth(pl.Callback):
    """Saves after the second batch, and goes back to it after the fourth."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 1:
            trainer.save_checkpoint(self.path)
            self.saved = everything(trainer, pl_module)
        if batch_idx == 3:
            self.before = everything(trainer, pl_module)
            roll_back(pl_module, torch.load(self.path, weights_only=True), 0.5)
            self.after = everything(trainer, pl_module)
            self.rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


def everything(trainer, model):
    """Weights, averages and pools, and the optimizers' moments and counts."""
    found = {name: value.clone() for name, value in model.state_dict().items() if torch.is_tensor(value)}
    for number, optimizer in enumerate(trainer.optimizers):
        for weight, state in enumerate(optimizer.state.values()):
            found |= {f"{number}.{weight}.{name}": value.clone() for name, value in state.items()}
    return found


def test_all_that_was_trained_goes_back_and_the_rates_are_halved(tmp_path):
    model, watch = make_cyclegan(pool_size=3), BackAndForth(tmp_path / "saved.ckpt")
    fit(model, make_batches(5), max_epochs=2, callbacks=[RankStates(), watch])
    assert watch.saved.keys() == watch.after.keys()
    for name, value in watch.saved.items():
        assert torch.equal(watch.after[name], value), name
    changed = {name for name in watch.saved if not torch.equal(watch.before[name], watch.saved[name])}
    for part in ("generator_ab", "discriminator_a", "ema_ba", "pool_b", "exp_avg", "step"):
        assert any(part in name for name in changed), part
    assert watch.rates == [1e-3 / 4, 2e-3 / 4], "once in each of two epochs"
