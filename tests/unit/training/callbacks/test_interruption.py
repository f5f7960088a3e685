import os
import signal
from types import SimpleNamespace

import pytest
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mri_cyclegan.training.callbacks.interruption import EndTogether


@pytest.fixture(autouse=True)
def handler():
    """What stood there before, and stands there again."""
    before = signal.getsignal(signal.SIGTERM)
    yield before
    signal.signal(signal.SIGTERM, before)


def trainer(world_size, others=()):
    """Compares notes with processes that were told to end, or not."""
    asked = []

    def reduce(decision, all):
        asked.append(decision)
        return any([decision, *others])

    strategy = SimpleNamespace(reduce_boolean_decision=reduce)
    return SimpleNamespace(
        world_size=world_size, log_every_n_steps=3, is_last_batch=False, strategy=strategy, asked=asked
    )


def test_all_end_at_the_next_batch_at_which_they_compare_notes():
    callback, several = EndTogether(), trainer(2)
    callback.on_train_start(several, None)
    callback.on_train_batch_end(several, None, None, None, 2)
    os.kill(os.getpid(), signal.SIGTERM)
    for index in (3, 4):
        callback.on_train_batch_end(several, None, None, None, index)
    with pytest.raises(SIGTERMException):
        callback.on_train_batch_end(several, None, None, None, 5)
    assert several.asked == [False, True]


def test_one_that_was_not_told_ends_with_the_others():
    with pytest.raises(SIGTERMException):
        EndTogether().on_train_batch_end(trainer(2, others=[True]), None, None, None, 2)


def test_an_epoch_may_be_shorter_than_the_interval():
    several = trainer(2, others=[True])
    several.is_last_batch = True
    with pytest.raises(SIGTERMException):
        EndTogether().on_train_batch_end(several, None, None, None, 0)


def test_a_single_process_keeps_what_was_there(handler):
    callback, single = EndTogether(), trainer(1, others=[True])
    callback.on_train_start(single, None)
    assert signal.getsignal(signal.SIGTERM) is handler
    callback.on_train_batch_end(single, None, None, None, 2)
    assert single.asked == []
