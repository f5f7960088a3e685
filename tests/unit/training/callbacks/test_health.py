import logging
from types import SimpleNamespace

import pytest
import torch
from example_training.cyclegans import make_cyclegan

from mri_cyclegan.training.callbacks.health import HealthMonitor, contrast_is_inverted, output_signs
from mri_cyclegan.training.cyclegan import GeneratorOutputs


def images(seed):
    return torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def test_healthy_outputs_show_no_sign():
    assert not any(output_signs(images(0), source=images(1), target=images(2)).values())


@pytest.mark.parametrize(
    ("sign", "fake"),
    [
        ("constant", torch.full((2, 1, 16, 16), 0.3)),
        ("saturated", images(0).sign()),
        ("copy", images(1) + 0.001),
    ],
)
def test_each_sign_is_seen_and_no_other(sign, fake):
    signs = output_signs(fake, source=images(1), target=images(2))
    assert [name for name, shown in signs.items() if shown] == [sign]


def test_black_background_is_not_saturation():
    """Most of a real slice is at -1, and so it should be in a fake."""
    real, fake = images(0), images(1)
    real[..., :12, :] = -1
    fake[..., :12, :] = -1
    assert not output_signs(fake, source=images(2), target=real)["saturated"]


def test_inversion_is_judged_within_the_head():
    truth = images(0)
    truth[..., :8] = -1
    inverted = torch.where(truth > -0.9, -truth, truth)
    assert contrast_is_inverted(inverted, truth)
    assert not contrast_is_inverted(truth + 0.3 * images(1), truth)


def run_batches(monitor, fake_b, num_batches, discriminator_loss=0.2, has_bounded_loss=True):
    batch = {"a": images(1), "b": images(2)}
    generated = GeneratorOutputs(fake_b, images(3), images(4), images(5), images(6), images(7))
    trainer = SimpleNamespace(is_global_zero=True, log_every_n_steps=1)
    trainer.fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=0))
    losses = {f"discriminator_{name}": torch.tensor(discriminator_loss) for name in "ab"}
    model = SimpleNamespace(
        outputs=generated, loss_logger=SimpleNamespace(latest=losses), has_bounded_loss=has_bounded_loss
    )
    for index in range(num_batches):
        monitor.on_train_batch_end(trainer, model, None, batch, index)


def test_a_sign_is_told_once_and_only_after_patience(caplog):
    monitor = HealthMonitor(patience=3)
    constant = torch.zeros(2, 1, 16, 16)
    with caplog.at_level(logging.WARNING):
        run_batches(monitor, constant, 2)
        run_batches(monitor, images(0), 1)  # a good look in between starts the count anew
        run_batches(monitor, constant, 2)
        assert caplog.text == ""
        run_batches(monitor, constant, 10)
    assert caplog.text.count("generator_ab is nearly constant") == 1
    assert "generator_ba" not in caplog.text


def test_a_loss_that_does_not_tell_who_wins_is_no_sign(caplog):
    with caplog.at_level(logging.WARNING):
        run_batches(HealthMonitor(patience=1), images(0), 50, discriminator_loss=0.001, has_bounded_loss=False)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "tells"), [({}, True), ({"adversarial_loss": "wgan"}, False), ({"lambda_adversarial": 0.0}, False)]
)
def test_which_losses_tell_who_wins(changes, tells):
    assert make_cyclegan(**changes).has_bounded_loss is tells


def test_a_discriminator_that_has_won_for_long_is_told(caplog):
    monitor = HealthMonitor(patience=2)
    with caplog.at_level(logging.WARNING):
        run_batches(monitor, images(0), 19, discriminator_loss=0.001)
        assert caplog.text == ""
        run_batches(monitor, images(0), 5, discriminator_loss=0.001)
    assert caplog.text.count("discriminator_a has stayed near 0") == 1
    assert caplog.text.count("discriminator_b has stayed near 0") == 1


def test_inverted_contrast_is_told_for_its_direction(caplog):
    truth = images(0)
    case = SimpleNamespace(a=images(1)[0], b=truth[0], paired=True)
    model = SimpleNamespace(
        device="cpu", translate=lambda image, direction: -truth[:1] if direction == "ab" else images(1)[:1]
    )
    trainer = SimpleNamespace(datamodule=SimpleNamespace(sample_cases=lambda count: [case]), is_global_zero=True)
    monitor = HealthMonitor(patience=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            monitor.on_train_epoch_end(trainer, model)
    assert caplog.text.count("inverted") == 1
    assert "generator_ab has its contrast inverted" in caplog.text
