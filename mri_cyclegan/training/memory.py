"""Advice when a batch does not fit into memory."""

import traceback
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.memory import garbage_collection_cuda, is_oom_error
from torch.utils.data import DataLoader

from mri_cyclegan.training.compilation import force_eager


def out_of_memory_advice(error: BaseException, trainer: pl.Trainer, model: Any, datamodule: Any) -> str:
    """Message that suggests settings that fit; with a single rank, each is tried with one batch.

    Args:
        error: the out-of-memory error.
        trainer: trainer that raised it.
        model: its model, whose weights are changed by the trials.
        datamodule: its datamodule.
    """
    where = "This machine's" if trainer.strategy.root_device.type == "cpu" else "The device's"
    if any(frame.name == "validation_step" for frame in traceback.extract_tb(error.__traceback__)):
        return (
            f"{where} memory does not hold a validation batch of {datamodule.val_batch_size} slices. "
            "Lower data.val_batch_size."
        )
    size = datamodule.batch_size
    said = f"{where} memory does not hold a training batch of {size} slices of each contrast"
    others = "model.recompute=true keeps fewer activations; data.device_cache=false leaves the slices on the disk."
    if trainer.world_size > 1:
        return f"{said} in each process. Lower data.batch_size. {others}"
    traceback.clear_frames(error.__traceback__)  # the frames keep the failed batch's tensors alive
    fitting = largest_fitting(size - 1, lambda number: _fits_in_memory(number, trainer, model, datamodule))
    if not fitting:
        return f"{said}, nor one of a single slice. Lower data.image_size, or take smaller networks. {others}"
    together = -(-size // fitting)
    return (
        f"{said}; tried: {fitting} fit. Set data.batch_size={fitting} (with optimization.accumulate_batches={together} "
        f"about as many move the weights together). {others}"
    )


def largest_fitting(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits; 0 if 1 does not.

    Args:
        limit: largest number to try.
        fits: whether a number fits; if it does, so do all smaller ones.

    >>> largest_fitting(15, lambda number: number <= 6), largest_fitting(9, lambda number: False)
    (6, 0)
    """
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _fits_in_memory(batch_size: int, trainer: pl.Trainer, model: Any, datamodule: Any) -> bool:
    """Whether one training step fits into memory, beside the slices cached on the device."""
    device = trainer.strategy.root_device
    model.zero_grad(set_to_none=True)
    kept = datamodule.train_slices.num_bytes if datamodule.train_slices.positions_only else 0
    shape = datamodule.train_slices.image_shape
    try:
        batch = {name: torch.rand(batch_size, *shape) * 2 - 1 for name in "ab"}
        beside = torch.empty(kept, dtype=torch.uint8, device=device)
        one_batch = pl.Trainer(
            accelerator="cpu" if device.type == "cpu" else "auto",
            devices=1 if device.type == "cpu" else [device.index or 0],
            precision=trainer.precision,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with force_eager(model.compiled):  # otherwise every batch size would be compiled
            one_batch.fit(model, train_dataloaders=DataLoader([batch], batch_size=None))  # type: ignore[arg-type]
        del beside
    except RuntimeError as error:
        if not is_oom_error(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return False
    finally:
        garbage_collection_cuda()
    return True
