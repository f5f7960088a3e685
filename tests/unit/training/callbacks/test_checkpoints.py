import os
import signal
import threading
from types import SimpleNamespace

import pytest
import torch

from mri_cyclegan.training.callbacks import checkpoints
from mri_cyclegan.training.callbacks.checkpoints import Interrupted, LastCheckpoints, is_intact, last_good_checkpoint
from mri_cyclegan.training.callbacks.divergence import last_checkpoint_before_skips


@pytest.fixture(autouse=True)
def handlers():
    """What stood there before stands there again."""
    before = {number: signal.getsignal(number) for number in checkpoints.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(checkpoints, "monotonic", lambda: now.s)
    return now


class Trainer:
    """Saves numbered checkpoints, and compares notes with processes that were told to end, or not."""

    is_global_zero = True
    log_every_n_steps = 3
    is_last_batch = False
    loggers = ()

    def __init__(self, world_size=1, others=()):
        self.world_size, self.asked, self.num_saved = world_size, [], 0
        self.strategy = SimpleNamespace(reduce_boolean_decision=lambda one, all: self.ask(any([one, *others])))

    def ask(self, decision):
        self.asked.append(decision)
        return decision

    def save_checkpoint(self, path):
        self.num_saved += 1
        path.parent.mkdir(exist_ok=True)
        torch.save({"number": self.num_saved}, path)


def module(accumulate=1, weight=1.0, num_consecutive=0):
    optimization = SimpleNamespace(ends_accumulation=lambda index: (index + 1) % accumulate == 0)
    weights = [torch.tensor([weight])]
    skipped_steps = SimpleNamespace(num_consecutive=num_consecutive)
    return SimpleNamespace(optimization=optimization, parameters=lambda: weights, skipped_steps=skipped_steps)


def started(folder, trainer, every_minutes=None):
    callback = LastCheckpoints(str(folder), every_minutes)
    callback.on_train_start(trainer, module())
    return callback


def run(callback, trainer, indices, of=None):
    for index in indices:
        callback.on_train_batch_end(trainer, of or module(), None, None, index)


def number(path):
    return torch.load(path)["number"]


def test_the_last_two_are_kept(tmp_path):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    for epoch in range(3):
        callback.on_train_epoch_end(trainer, module())
        assert number(tmp_path / "last.ckpt") == epoch + 1
    assert number(tmp_path / "previous.ckpt") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_where_weights_are_not_finite_the_last_good_one_stays(tmp_path, caplog, weight):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    callback.on_train_epoch_end(trainer, module())
    callback.on_train_epoch_end(trainer, module(weight=weight))
    assert number(tmp_path / "last.ckpt") == 1
    assert "the last good one stays" in caplog.text
    os.kill(os.getpid(), signal.SIGTERM)
    callback.on_train_epoch_end(trainer, module(weight=weight))
    with pytest.raises(Interrupted):
        callback.on_train_epoch_start(trainer, module(weight=weight))
    assert trainer.num_saved == 1


def test_ones_written_while_steps_are_skipped_leave_the_one_before(tmp_path):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    for num_consecutive, last, previous in ((0, 1, None), (2, 2, 1), (5, 3, 1), (0, 4, 1), (0, 5, 4)):
        callback.on_train_epoch_end(trainer, module(num_consecutive=num_consecutive))
        assert number(tmp_path / "last.ckpt") == last
        assert previous is None or number(tmp_path / "previous.ckpt") == previous


def test_the_one_to_go_back_to_is_from_before_the_row(tmp_path):
    assert last_checkpoint_before_skips(tmp_path) is None
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    torch.save({"skipped_in_a_row": 3}, last)
    assert last_checkpoint_before_skips(tmp_path) == last, "there is no other"
    torch.save({"skipped_in_a_row": 0}, previous)
    assert last_checkpoint_before_skips(tmp_path) == previous
    torch.save({"skipped_in_a_row": 0}, last)
    assert last_checkpoint_before_skips(tmp_path) == last


def test_every_so_many_minutes(tmp_path, clock):
    trainer = Trainer()
    callback = started(tmp_path, trainer, every_minutes=2)
    for second, saved in ((119, 0), (121, 1), (240, 1), (242, 2)):
        clock.s = second
        run(callback, trainer, [0])
        assert trainer.num_saved == saved
    clock.s = 1000
    trainer.is_last_batch = True
    run(callback, trainer, [0])
    assert trainer.num_saved == 2, "the epoch's own checkpoint comes next"
    trainer.is_last_batch = False
    run(callback, trainer, [0], of=module(accumulate=2))
    assert trainer.num_saved == 2, "gradients add up"
    run(callback, trainer, [1], of=module(accumulate=2))
    assert trainer.num_saved == 3


@pytest.mark.parametrize("wrong", [0, -1])
def test_an_interval_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="every_minutes: expected above 0, or null"):
        LastCheckpoints("folder", wrong)


@pytest.mark.parametrize("sent", checkpoints.SIGNALS)
def test_a_signal_ends_the_training_after_the_batch_with_a_checkpoint(tmp_path, sent):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    run(callback, trainer, [0])
    os.kill(os.getpid(), sent)
    assert trainer.num_saved == 0
    with pytest.raises(Interrupted) as stop:
        run(callback, trainer, [1])
    assert stop.value.code == 128 + sent
    assert number(tmp_path / "last.ckpt") == 1


def test_a_signal_in_the_last_batch_waits_for_the_epochs_checkpoint(tmp_path):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    trainer.is_last_batch = True
    os.kill(os.getpid(), signal.SIGTERM)
    run(callback, trainer, [1])
    callback.on_train_epoch_end(trainer, module())
    assert trainer.num_saved == 1
    for hook in (callback.on_train_epoch_start, callback.on_train_end):
        with pytest.raises(Interrupted):
            hook(trainer, module())
    assert trainer.num_saved == 1


def test_a_second_interrupt_ends_it_at_once(tmp_path):
    started(tmp_path, Trainer())
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_handler_of_lightnings_for_slurm_stays(tmp_path):
    signal.signal(signal.SIGUSR1, own := lambda *_: None)
    started(tmp_path, Trainer())
    assert signal.getsignal(signal.SIGUSR1) is own


def test_another_thread_takes_no_signals(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=started, args=(tmp_path, Trainer()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before


def test_several_processes_end_at_the_next_batch_at_which_they_compare_notes(tmp_path):
    trainer = Trainer(2)
    callback = started(tmp_path, trainer)
    run(callback, trainer, [2])
    os.kill(os.getpid(), signal.SIGTERM)
    run(callback, trainer, [3, 4])
    with pytest.raises(Interrupted):
        run(callback, trainer, [5])
    assert trainer.asked == [False, False, True]
    assert trainer.num_saved == 1


def test_one_that_was_not_told_ends_with_the_others(tmp_path):
    trainer = Trainer(2, others=[True])
    callback = started(tmp_path, trainer)
    with pytest.raises(Interrupted) as stop:
        run(callback, trainer, [2])
    assert stop.value.code == 143
    assert trainer.num_saved == 1


def test_a_damaged_checkpoint_is_left_out(tmp_path, caplog):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    assert last_good_checkpoint(tmp_path) is None
    for _ in range(2):
        callback.on_train_epoch_end(trainer, module())
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    assert last_good_checkpoint(tmp_path) == last
    torch.save({"weights": torch.arange(1000.0)}, last)
    whole = last.read_bytes()
    position = whole.index(torch.arange(500.0, 501).numpy().tobytes())
    for damaged in (whole[:-100], whole[: len(whole) // 2], b"", whole[:position] + b"\xff" + whole[position + 1 :]):
        last.write_bytes(damaged)
        assert not is_intact(last)
        assert last_good_checkpoint(tmp_path) == previous
        assert f"{last} is damaged" in caplog.text
    previous.write_bytes(b"PK")
    assert last_good_checkpoint(tmp_path) is None


def test_one_that_was_written_but_not_renamed_counts(tmp_path):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    callback.on_train_epoch_end(trainer, module())
    trainer.save_checkpoint(tmp_path / "next.ckpt")
    assert last_good_checkpoint(tmp_path) == tmp_path / "next.ckpt"
    (tmp_path / "last.ckpt").replace(tmp_path / "previous.ckpt")
    assert last_good_checkpoint(tmp_path) == tmp_path / "next.ckpt"


def test_a_clock_that_was_put_back_does_not_make_an_old_one_the_newest(tmp_path):
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    for _ in range(2):
        callback.on_train_epoch_end(trainer, module())
    os.utime(tmp_path / "last.ckpt", (0, 0))
    assert last_good_checkpoint(tmp_path) == tmp_path / "last.ckpt"
