"""A training run from its configuration to its results, in the order in which it happens.

Each part is imported when it is needed, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from pickle import UnpicklingError
from time import perf_counter
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mri_cyclegan import distributed, slurm
from mri_cyclegan.configuration.build import build, build_each
from mri_cyclegan.configuration.checks import resolve_and_check
from mri_cyclegan.runs.resume_hint import resume_hint

if TYPE_CHECKING:
    import pytorch_lightning as pl

log = logging.getLogger(__name__)


def train(config: DictConfig, accepted: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Train one model and report on it.

    Args:
        config: composed from ``conf/train.yaml``.
        accepted: called once the run may write to its folder. When a run is resumed, that is after every check, so that
            a refused start changes no file of it.

    Returns:
        Content of ``summary.json`` on rank 0, an empty dictionary on the other ranks.

    Raises:
        ValueError: the configuration or the data is unfit.
    """
    with ExitStack() as exit_stack:
        return _train(config, accepted, exit_stack)


def _train(config: DictConfig, accepted: Callable[[], None], exit_stack: ExitStack) -> dict[str, Any]:
    """See :func:`train`.

    Args:
        config: of the run.
        accepted: see there.
        exit_stack: keeps the lock on the run folder.
    """
    import pytorch_lightning as pl
    import torch

    from mri_cyclegan.runs import results, run_folder
    from mri_cyclegan.runs.initial_weights import load_initial_weights
    from mri_cyclegan.runs.log_filters import filter_lightning_logs
    from mri_cyclegan.runs.start_record import StartRecord
    from mri_cyclegan.training.callbacks.checkpoints import is_intact, last_good_checkpoint
    from mri_cyclegan.training.callbacks.rank_states import RankStates
    from mri_cyclegan.training.callbacks.restart_epoch import RestartEpochOnBatchSizeChange
    from mri_cyclegan.training.checkpoint_io import AtomicCheckpointIO
    from mri_cyclegan.training.compilation import compile_networks

    filter_lightning_logs()
    config = resolve_and_check(config)
    run_dir = Path(config.run_dir)
    if config.ckpt_path is not None and not is_intact(Path(config.ckpt_path)):
        raise ValueError(f"ckpt_path: {config.ckpt_path} is damaged. previous.ckpt beside it is the one before.")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")

    datamodule = build(config.data)
    callbacks = build_each(config, "callbacks")
    loggers = list(build_each(config, "logger").values())
    record = StartRecord(run_dir, config, accepted)
    cluster = slurm.environment(config.trainer.get("num_nodes", 1))
    trainer = build(
        config.trainer,
        callbacks=[record, RankStates(), RestartEpochOnBatchSizeChange(), *callbacks.values()],
        logger=loggers,
        precision=precision_for(config.trainer),
        plugins=[AtomicCheckpointIO(run_dir), *([] if cluster is None else [cluster])],
    )
    distributed.check_world_size(trainer)

    def prepare() -> None:
        if trainer.is_global_zero:
            exit_stack.enter_context(run_folder.lock_run_folder(run_dir, resume=config.resume is not None))
            if not run_folder.holds_run(run_dir):
                accepted()
        datamodule.prepare_data()

    distributed.run_on_rank_zero_first(trainer, prepare)
    checkpoint = last_good_checkpoint(run_dir / "checkpoints") if config.resume else config.ckpt_path
    checkpoint = distributed.broadcast(trainer, None if checkpoint is None else str(checkpoint))
    if checkpoint is not None:
        log.info("Resuming from %s.", checkpoint)
    datamodule.setup()
    if trainer.is_global_zero:
        run_folder.require_same_subjects(run_dir, datamodule.split, datamodule.scans_root)
    log.info(datamodule.describe())
    if not datamodule.val_pairs:
        log.warning(datamodule.why_no_pairs())
        if "best_checkpoint" in callbacks:
            trainer.callbacks.remove(callbacks.pop("best_checkpoint"))

    model = build(config.model)
    if config.initial_model is not None:
        load_initial_weights(model, config.initial_model, datamodule.contrasts)
    if trainer.world_size > 1:
        # All ranks have equal weights now; from here on each draws its own numbers, for dropout and the image pools.
        pl.seed_everything(config.seed + trainer.global_rank, workers=True, verbose=False)
        num_together = config.optimization.accumulate_batches
        log.info(distributed.describe_batch(trainer.world_size, datamodule.batch_size, num_together))
    num_batches = trainer.max_epochs * ceil(len(datamodule.train_slices) / (datamodule.batch_size * trainer.world_size))
    model.compiled = compile_networks(model.networks, config.compile, trainer.strategy.root_device, num_batches)
    start = perf_counter()
    fit(trainer, model, datamodule, checkpoint, config)
    training_s = perf_counter() - start
    distributed.destroy(trainer)
    if not trainer.is_global_zero:
        return {}
    if not record.is_written:
        log.info("Nothing is left to train: %s has all %s epochs.", checkpoint, trainer.max_epochs)
        if (run_dir / "summary.json").is_file():
            return json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
        if not run_folder.holds_run(run_dir):
            record.write(trainer)
    weights = load_best_weights(model, callbacks.get("best_checkpoint"), run_dir)
    return results.report(run_dir, config, trainer, model, datamodule, weights, training_s)


def fit(trainer: pl.Trainer, model: Any, datamodule: Any, checkpoint: str | None, config: DictConfig) -> None:
    """Train. When interrupted, print the resume command and exit with the signal's status (Lightning exits with 0).

    Raises:
        ValueError: the checkpoint does not fit the networks or is not a checkpoint, or a batch does not fit into
            memory; the message then says how large a batch may be.
    """
    from pytorch_lightning.utilities.memory import is_oom_error

    from mri_cyclegan.training.memory import out_of_memory_advice

    try:
        trainer.fit(model, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    except Exception as error:
        distributed.end_child_ranks(trainer)
        if is_oom_error(error):
            raise ValueError(out_of_memory_advice(error, trainer, model, datamodule)) from error
        if isinstance(error, UnpicklingError):
            raise ValueError(f"{checkpoint}: is not a checkpoint of such a run: it holds more than data.") from error
        if isinstance(error, RuntimeError) and "loading state_dict" in str(error):
            reason = str(error).splitlines()[1].strip()
            raise ValueError(f"{checkpoint}: was made with other networks or losses than these ({reason}).") from error
        raise
    except SystemExit as stop:
        distributed.end_child_ranks(trainer)
        log.warning("Interrupted. %s", resume_hint(config))
        sys.exit(stop.code if isinstance(stop.code, int) and stop.code > 128 else 130)


def precision_for(trainer_config: DictConfig) -> str:
    """The trainer's precision; ``auto`` is bf16 mixed on a GPU that has it, else 32-bit."""
    import torch

    if trainer_config.precision != "auto":
        return str(trainer_config.precision)
    on_gpu = trainer_config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def load_best_weights(model: pl.LightningModule, best_checkpoint: Any, run_dir: Path) -> str:
    """Load the weights of the best validation epoch into the model, if the run has one.

    Returns:
        Which weights the model has now, as a phrase for messages.
    """
    import torch

    from mri_cyclegan.filesystem import escapes
    from mri_cyclegan.inference.description import BEST_EPOCH

    path = getattr(best_checkpoint, "best_model_path", "")
    if not path or escapes(Path(path), run_dir):
        return "last epoch"
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["state_dict"])
    return f"{BEST_EPOCH}, {checkpoint['epoch'] + 1}"
