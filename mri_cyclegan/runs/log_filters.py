"""Hides library messages that a training does not need on the screen."""

import logging
import threading
import warnings

from mri_cyclegan import distributed


def filter_lightning_logs() -> None:
    """Hide Lightning's routine messages; its real warnings stay, on rank 0 only."""
    threading.excepthook = _ignore_thread_os_errors
    if not distributed.is_rank_zero():
        warnings.simplefilter("ignore")
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.trainer.connectors.checkpoint_connector",
        "lightning_fabric.utilities.distributed",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # the callback StepTimer measures the loader
        ".*The dirpath has changed from.*",  # a run resumed in another folder chooses its best checkpoint anew
        ".*exists and is not empty.*",  # the run folder holds Hydra's files
        ".*isinstance.treespec, LeafSpec.*",
        ".*Total length of `list` across ranks is zero.*",  # no pairs: we print our own message
        ".*You defined a `validation_step` but have no `val_dataloader`.*",
        ".*The number of training batches.*is smaller than the logging interval.*",
        ".*`broadcast_buffers` is deprecated.*",  # the oldest supported torch lacks its successor
        ".*You requested to overfit but enabled val.*",  # validation data is not shuffled
        ".*recommended to use `self.log.'val/.*",  # these values are already equal on all ranks
    ):
        warnings.filterwarnings("ignore", message)


def _ignore_thread_os_errors(arguments: threading.ExceptHookArgs) -> None:
    """Report a thread's exception, but not an OSError: TensorBoard raises it again in the main thread."""
    if not issubclass(arguments.exc_type, OSError):
        threading.__excepthook__(arguments)
