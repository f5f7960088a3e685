"""Candidates of part ``train``: each returns its mean seconds per step."""

from time import perf_counter
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from mri_cyclegan.benchmarks.measurement import seconds, synchronize
from mri_cyclegan.benchmarks.naive_step import NaiveStep
from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.schema import DictConfig, num_channels
from mri_cyclegan.runs.training_run import precision_for
from mri_cyclegan.training.callbacks.timing import StepTimer
from mri_cyclegan.training.compilation import compile_networks

# Steps before the clock starts: by then worker processes have started and kernels are chosen.
NUM_WARM_UP = 3

# Number of batches of a long training, so that networks are compiled if they would be there.
MANY_BATCHES = 1e6

# Callbacks left out: those that work between epochs, not between steps, and the timer, of which we use our own.
EXCLUDED_CALLBACKS = ("timer", "last_checkpoint", "best_checkpoint", "samples", "curves", "best_validation")


class StepMemory:
    """GPU memory of steps beyond what was allocated before them: activations, gradients, kernel caches."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)

    def peak_bytes(self) -> int | None:
        """Peak since this object was created; None without a GPU."""
        return torch.cuda.max_memory_allocated(self.device) - self.before if self.device.type == "cuda" else None


class StepClock(pl.Callback):
    """Mean seconds per step, from the end of the last warm-up step to the end of the training's last step."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Read the clock after the last warm-up step and after the last step."""
        if batch_idx + 1 == NUM_WARM_UP or trainer.is_last_batch:
            synchronize(pl_module.device)
            now = perf_counter()
            if batch_idx + 1 == NUM_WARM_UP:
                self.start = now
                self.memory = StepMemory(pl_module.device)
            else:
                self.step_s = (now - self.start) / (batch_idx + 1 - NUM_WARM_UP)


def device_of(config: DictConfig) -> torch.device:
    """Device that a training would use."""
    return build(config.trainer, logger=False, precision=32).strategy.root_device


class OurStep:
    """Our training step as a training runs it, on slices already on the device.

    Args:
        config: training configuration.
    """

    def __init__(self, config: DictConfig) -> None:
        pl.seed_everything(config.seed, verbose=False)
        self.config = config
        self.device = device_of(config)
        self.trainer_precision = precision_for(config.trainer)
        kinds = {"bf16": torch.bfloat16, "16-t": torch.float16, "16-m": torch.float16}
        self.dtype = kinds.get(self.trainer_precision[:4], torch.float32)
        self.model = build(config.model)
        self.model.compiled = compile_networks(self.model.networks, config.compile, self.device, MANY_BATCHES)
        self.batch = random_batch(config, self.device)
        self.gpu_bytes: int | None = None

    def step_s(self, num_steps: int) -> float:
        """Mean seconds per step, over ``num_steps`` steps."""
        clock = StepClock()
        self._fit([clock], num_steps)
        self.gpu_bytes = clock.memory.peak_bytes()
        return clock.step_s

    def _fit(self, callbacks: list[pl.Callback], num_steps: int) -> None:
        trainer = build(
            self.config.trainer,
            max_epochs=1,
            limit_train_batches=1.0,
            enable_progress_bar=False,
            enable_checkpointing=False,
            callbacks=callbacks,
            logger=False,
            precision=self.trainer_precision,
        )
        batches: Any = [self.batch] * (NUM_WARM_UP + num_steps)
        trainer.fit(self.model, DataLoader(batches, batch_size=None))

    def top_kernels(self, num_steps: int) -> list[dict[str, Any]]:
        """The ten kernels that take the most device time, with their share."""
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            self._fit([], num_steps)
        events = profile.key_averages()
        found = [event for event in events if event.self_device_time_total > 0 and not event.cpu_time_total]
        total = sum(event.self_device_time_total for event in found)
        longest = sorted(found, key=lambda event: -event.self_device_time_total)[:10]
        return [
            {"name": event.key[:120], "calls": event.count, "share": event.self_device_time_total / total}
            for event in longest
        ]


def random_batch(config: DictConfig, device: torch.device) -> dict[str, Tensor]:
    """Noise in [-1, 1], (B, 2k + 1, H, W) for each contrast."""
    channels = num_channels(config.data.num_adjacent_slices)
    shape = (2, config.data.batch_size, channels, config.data.image_size, config.data.image_size)
    a, b = (2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1).to(device)
    return {"a": a, "b": b}


class NaiveCandidate:
    """:class:`mri_cyclegan.benchmarks.naive_step.NaiveStep` with the same kind of networks, on the same slices.

    Args:
        config: training configuration.
        device: device to compute on.
    """

    def __init__(self, config: DictConfig, device: torch.device) -> None:
        self.step = NaiveStep(build(config.model), device)
        self.batch, self.device = random_batch(config, device), device
        self.gpu_bytes: int | None = None

    def step_s(self, num_steps: int) -> float:
        """Mean seconds per step, over ``num_steps`` steps."""
        self.run(NUM_WARM_UP)
        memory = StepMemory(self.device)
        total_s = seconds(lambda: self.run(num_steps), self.device)
        self.gpu_bytes = memory.peak_bytes()
        return total_s / num_steps

    def run(self, num_steps: int) -> None:
        """Train for ``num_steps`` steps."""
        for _ in range(num_steps):
            self.step(self.batch["a"], self.batch["b"])


def count_flops(naive: NaiveCandidate) -> int:
    """Floating-point operations of one step's matrix products and convolutions; a multiply-add counts as two."""
    with FlopCounterMode(display=False) as counter:
        naive.run(1)
    return counter.get_total_flops()


class EndToEnd:
    """A real training with its data, augmentation, loggers, and the callbacks that work between steps.

    Args:
        config: training configuration; its data set is made and cached in its usual folders.
    """

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.datamodule = build(config.data)
        self.datamodule.prepare_data()
        self.datamodule.setup()
        self.model = build(config.model)
        self.device = device_of(config)
        self.model.compiled = compile_networks(self.model.networks, config.compile, self.device, MANY_BATCHES)
        self.waiting_s = self.steps_s = 0.0

    @property
    def waiting_share(self) -> float:
        """Share of the time of all steps so far that was spent waiting for data, in [0, 1]."""
        return self.waiting_s / self.steps_s

    def step_s(self, num_steps: int) -> float:
        """Mean seconds per step over ``num_steps`` steps, including the work between them.

        Raises:
            ValueError: the data has too few batches.
        """
        num_batches = len(self.datamodule.train_slices) // self.datamodule.batch_size
        if num_batches < NUM_WARM_UP + num_steps:
            raise ValueError(
                f"train.num_steps: expected at most {num_batches - NUM_WARM_UP}, since the data has {num_batches} full "
                f"batches of {self.datamodule.batch_size}, of which {NUM_WARM_UP} do not count; got {num_steps}. "
                "Or leave the data out with train.end_to_end=false."
            )
        clock, timer = StepClock(), StepTimer(warn_above=1.0)
        callbacks = build(self.config.callbacks)
        kept = [callback for name, callback in callbacks.items() if name not in EXCLUDED_CALLBACKS]
        trainer = build(
            self.config.trainer,
            max_epochs=1,
            limit_train_batches=NUM_WARM_UP + num_steps,
            limit_val_batches=0,
            enable_checkpointing=False,
            callbacks=[*kept, timer, clock],
            logger=list(build(self.config.logger).values()),
            precision=precision_for(self.config.trainer),
        )
        trainer.fit(self.model, datamodule=self.datamodule)
        self.waiting_s += timer.waiting_s
        self.steps_s += timer.step_s
        return clock.step_s
