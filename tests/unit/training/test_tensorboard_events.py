from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mri_cyclegan.training.tensorboard_events import TensorBoardEvents


def write(folder, points):
    logger = TensorBoardEvents(folder, name=None, version="", default_hp_metric=False)
    files = sorted(folder.iterdir())
    logger.experiment.add_text("config", "before the start is accepted")
    assert sorted(folder.iterdir()) == files
    logger.open()
    logger.experiment.add_text("config", "before anything is logged")
    for step, value in points:
        logger.log_metrics({"loss": value}, step)
    logger.finalize("success")


def curve(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_a_training_that_goes_on_takes_back_what_came_after_the_checkpoint(tmp_path):
    write(tmp_path, [(0, 4.0), (4, 3.0), (8, 2.0), (12, 1.0)])
    write(tmp_path, [(8, 2.5), (12, 1.5), (16, 0.5)])
    assert curve(tmp_path) == [(0, 4.0), (4, 3.0), (8, 2.5), (12, 1.5), (16, 0.5)]


def test_a_new_training_writes_all_it_logs(tmp_path):
    write(tmp_path, [(19, 1.0), (39, 2.0)])
    assert curve(tmp_path) == [(19, 1.0), (39, 2.0)]
