from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mri_cyclegan.train import train


def picture_steps(run_dir):
    return [image.step for image in EventAccumulator(str(run_dir / "tensorboard")).Reload().Images("samples")]


def test_pictures_count_batches_whatever_the_optimizers_do_and_also_after_a_resume(
    tmp_path, compose_run, toy_overrides
):
    """Three batches an epoch, of which two move the weights together."""
    words = [*toy_overrides, "optimization.accumulate_batches=2", "evaluate=false"]
    train(compose_run(tmp_path / "first", *words, "trainer.max_epochs=2"))
    assert picture_steps(tmp_path / "first") == [3, 6]
    checkpoint = tmp_path / "first" / "checkpoints" / "last.ckpt"
    train(compose_run(tmp_path / "second", *words, "trainer.max_epochs=3", f"ckpt_path={checkpoint}"))
    assert picture_steps(tmp_path / "second") == [9]
