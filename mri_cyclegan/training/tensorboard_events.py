"""TensorBoard logger that supports resuming."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import DummyExperiment
from tensorboard.compat.proto.event_pb2 import Event, SessionLog


class TensorBoardEvents(TensorBoardLogger):
    """TensorBoard logger that, on resume, purges what was logged after the checkpoint, so that curves do not overlap.

    Torch's writer creates its file at once, and Lightning requests the writer before it loads a checkpoint, which may
    fail. So Lightning gets a dummy until :meth:`open` is called.
    """

    purge_pending = True
    is_open = False

    @property
    def experiment(self) -> Any:
        """Torch's writer, or before :meth:`open` a dummy that ignores every call."""
        return super().experiment if self.is_open else DummyExperiment()

    def open(self) -> None:
        """Use Torch's writer from now on; the next access to :attr:`experiment` creates the file."""
        self.is_open = True

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Add points; before the first ones, tell TensorBoard to discard earlier points from that step on."""
        self.open()
        if self.purge_pending and step is not None and len(list(Path(self.log_dir).glob("events.*"))) > 1:
            # As torch's writer does with ``purge_step``, which would have to be known when the writer is created.
            writer = self.experiment.file_writer
            writer.add_event(Event(step=step, file_version="brain.Event:2"))
            writer.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
        self.purge_pending = False
        super().log_metrics(dict(metrics), step)
