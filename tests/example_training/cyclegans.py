"""A CycleGAN of a few weights in double precision, and a trainer that runs it for some batches."""

import copy
from dataclasses import fields

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

import mri_cyclegan.training.cyclegan as cyclegan_module
from mri_cyclegan.networks.patchgan import PatchGAN
from mri_cyclegan.networks.unet import UNet
from mri_cyclegan.training.optimization import Optimization

OPTIMIZATION = dict(
    learning_rate_generators=1e-3, learning_rate_discriminators=2e-3, beta1=0.5, constant_share=1.0, ema_decay=0.9
)
SETTINGS = dict(lambda_cycle=7.0, lambda_identity=3.0, pool_size=0)


class SeedAtStart(pl.Callback):
    """Makes the random draws of training the same, whatever was drawn before."""

    def on_train_start(self, trainer, pl_module):
        torch.manual_seed(5)


def make_networks():
    """Generators ab and ba, discriminators a and b."""
    torch.manual_seed(1)
    generators = [UNet(1, 1, 4, 2, 0.0, "transposed", full_resolution_skip=False, residual=False) for _ in range(2)]
    discriminators = [PatchGAN(1, 4, 1, spectral_norm=False, minibatch_stdev=False) for _ in range(2)]
    networks = [network.double() for network in (*generators, *discriminators)]
    for network in networks:
        for parameter in network.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return networks


def make_batches(num_batches, batch_size=2, side=16):
    """Slices a and b, each (batch_size, 1, side, side)."""
    generator = torch.Generator().manual_seed(2)
    return [
        {key: torch.rand(batch_size, 1, side, side, generator=generator, dtype=torch.float64) * 2 - 1 for key in "ab"}
        for _ in range(num_batches)
    ]


def make_cyclegan(module=cyclegan_module, **changes):
    """The CycleGAN, with some settings changed."""
    names = [field.name for field in fields(Optimization)]
    of_optimization = {name: changes.pop(name) for name in list(changes) if name in names}
    optimization = Optimization(**OPTIMIZATION | of_optimization)
    return module.CycleGAN(*copy.deepcopy(make_networks()), optimization, **SETTINGS | changes).double()


def fit(model, batches, max_epochs=1, callbacks=(), **trainer):
    """Train on batches as they are, and return the losses of each, in full precision."""
    losses = []
    # Lightning keeps logged values in float32: take them before.
    model.loss_logger.log = lambda module, of_batch: losses.append({name: x.item() for name, x in of_batch.items()})
    pl.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[SeedAtStart(), *callbacks],
        **trainer,
    ).fit(model, train_dataloaders=DataLoader(batches, batch_size=None))
    return losses
