"""What libraries need not say on the screen of a training."""

import logging
import threading
import warnings

from mri_cyclegan import distributed


def filter_lightning_logs() -> None:
    """Keep what Lightning says of itself off the screen; its real warnings stay, in the first of several processes."""
    threading.excepthook = _tell_unless_told_again
    if not distributed.is_rank_zero():
        warnings.simplefilter("ignore")
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.trainer.connectors.checkpoint_connector",
        "lightning_fabric.utilities.distributed",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # the loader is measured: see the callback StepTimer
        ".*The dirpath has changed from.*",  # a run that goes on in a folder of its own chooses its best anew
        ".*exists and is not empty.*",  # the run folder holds Hydra's files
        ".*isinstance.treespec, LeafSpec.*",
        ".*Total length of `list` across ranks is zero.*",  # no pairs: said in the user's words
        ".*You defined a `validation_step` but have no `val_dataloader`.*",
        ".*The number of training batches.*is smaller than the logging interval.*",
        ".*`broadcast_buffers` is deprecated.*",  # its successor is unknown to the oldest torch that is supported
        ".*You requested to overfit but enabled val.*",  # it is not shuffled
        ".*recommended to use `self.log.'val/.*",  # these are equal in every process already
    ):
        warnings.filterwarnings("ignore", message)


def _tell_unless_told_again(arguments: threading.ExceptHookArgs) -> None:
    """A full disk met by TensorBoard's thread comes back in the main one."""
    if not issubclass(arguments.exc_type, OSError):
        threading.__excepthook__(arguments)
