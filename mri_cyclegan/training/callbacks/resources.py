"""Time and memory that training takes."""

import json
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
import torch

from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.host_memory import peak_memory_bytes


class ResourceMonitor(pl.Callback):
    """Writes ``resources.json`` when training ends, also after an error; a sweep's ranking shows it beside the scores.

    ``training_s`` is the time of ``fit``, including validation and pictures; ``batches_per_s`` counts training batches
    only, including waiting for data. ``peak_gpu_memory_bytes`` is the peak memory of tensors on this process's GPU,
    None without one; ``peak_memory_bytes`` is the process's peak host memory, without its loader workers.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.before_s = self.batches_s = 0.0
        self.num_batches = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start all clocks."""
        self.device = pl_module.device
        self.start = self.epoch_start = self.last_end = perf_counter()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        # Jobs of a sweep may share a process: on Linux this resets the peak of earlier jobs.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Restart the clock that measures batches."""
        self.epoch_start = self.last_end = perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        """Count the batch."""
        self.last_end = perf_counter()
        self.num_batches += 1

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Add the epoch's time up to its last batch; the rest was validation."""
        self._add_epoch()

    def state_dict(self) -> dict[str, Any]:
        """Times and batches so far, for resuming."""
        training_s = self.before_s + perf_counter() - self.start if hasattr(self, "start") else self.before_s
        return {"training_s": training_s, "batches_s": self.batches_s, "num_batches": self.num_batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore times and batches of the run up to its checkpoint."""
        self.before_s = state_dict["training_s"]
        self.batches_s, self.num_batches = state_dict["batches_s"], state_dict["num_batches"]

    def _add_epoch(self) -> None:
        self.batches_s += self.last_end - self.epoch_start
        self.epoch_start = self.last_end

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the file."""
        self._write(trainer)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write the file, since memory may be the cause; a failure to write must not mask the original error."""
        if hasattr(self, "start"):
            with suppress(OSError):
                self._write(trainer)

    def _write(self, trainer: Any) -> None:
        if not trainer.is_global_zero:
            return
        self._add_epoch()  # the unfinished epoch, if any
        on_gpu = self.device.type == "cuda"
        content = {
            "device": torch.cuda.get_device_name(self.device) if on_gpu else self.device.type,
            "training_s": round(self.before_s + perf_counter() - self.start, 2),
            "num_batches": self.num_batches,
            "batches_per_s": round(self.num_batches / self.batches_s, 3) if self.batches_s else None,
            "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated(self.device) if on_gpu else None,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        atomic_write_text(self.path, json.dumps(content, indent=2) + "\n")
