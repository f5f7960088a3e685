"""TensorBoard's events, also of a training that goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import DummyExperiment
from tensorboard.compat.proto.event_pb2 import Event, SessionLog


class TensorBoardEvents(TensorBoardLogger):
    """Lightning's logger, whose curves would go back and forth: what was logged after the checkpoint is taken back.

    Torch's writer makes its file at once, and Lightning asks for it before a checkpoint is loaded, which may refuse the
    start: so it gets none before there is something to log.
    """

    goes_on = True
    is_open = False

    @property
    def experiment(self) -> Any:
        """Torch's writer; what takes everything and does nothing before :meth:`open`."""
        return super().experiment if self.is_open else DummyExperiment()

    def open(self) -> None:
        """Make the file, or let the next entry make it."""
        self.is_open = True

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Add points; before the first ones, tell TensorBoard to forget earlier ones from that step on."""
        self.open()
        if self.goes_on and step is not None and len(list(Path(self.log_dir).glob("events.*"))) > 1:
            # As torch's writer does it, which must know the step before it writes anything at all.
            writer = self.experiment.file_writer
            writer.add_event(Event(step=step, file_version="brain.Event:2"))
            writer.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
        self.goes_on = False
        super().log_metrics(dict(metrics), step)
