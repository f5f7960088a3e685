from types import SimpleNamespace

import mri_cyclegan.training.callbacks.progress as progress
from mri_cyclegan.training.callbacks.progress import LearningCurves, TrainingProgressBar


def test_time_left_counts_every_epoch_from_where_the_run_began(monkeypatch):
    bar = TrainingProgressBar(refresh_rate=1)
    bar.start, bar.first_epoch = 0.0, 2
    monkeypatch.setattr(progress, "perf_counter", lambda: 60.0)
    trainer = SimpleNamespace(num_training_batches=10, current_epoch=3, max_epochs=6)
    # 15 of 40 batches in 60 s: 25 are left, 100 s.
    assert bar.time_left(trainer, num_batches_done=5) == "0:01:40"


def test_the_curve_goes_on_after_a_resume():
    before, after = LearningCurves("progress.png"), LearningCurves("progress.png")
    before.history.append({"epoch": 0.0, "loss/generators": 3.0})
    after.load_state_dict(before.state_dict())
    assert after.history == before.history
