"""Each setting of the optimization, by its effect on training."""

import pytest
import pytorch_lightning as pl
import torch
from example_training.cyclegans import OPTIMIZATION, fit, make_batches, make_cyclegan
from torch.nn.utils import get_total_norm

from mri_cyclegan.training.optimization import Optimization


class Watch(pl.Callback):
    """Which networks' weights moved in each batch, and the gradients' norm at each step of an optimizer."""

    def __init__(self):
        self.moved, self.norms = [], []

    def setup(self, trainer, pl_module, stage):
        self.before = self.weights(pl_module)

    def weights(self, model):
        networks = {"g": model.generator_ab, "d": model.discriminator_b, "average": model.ema_ab}
        return {
            name: torch.cat([p.detach().flatten() for p in network.parameters()]) for name, network in networks.items()
        }

    def on_train_start(self, trainer, pl_module):
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self.note_norm)

    def note_norm(self, optimizer, *_):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.norms.append(float(get_total_norm(gradients)))

    def on_train_batch_end(self, trainer, pl_module, *_):
        after = self.weights(pl_module)
        self.moved.append({name for name in after if not torch.equal(after[name], self.before[name])})
        self.before = after


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_accumulated_batches_are_one_larger_batch():
    small = make_batches(4, batch_size=2)
    large = [
        {key: torch.cat([first[key], second[key]]) for key in "ab"} for first, second in zip(small[::2], small[1::2])
    ]
    watch = Watch()
    accumulating, plain = make_cyclegan(accumulate_batches=2), make_cyclegan()
    fit(accumulating, small, callbacks=[watch])
    fit(plain, large)
    assert watch.moved == [set(), {"g", "d", "average"}] * 2
    assert torch.allclose(weights(accumulating), weights(plain), rtol=0, atol=1e-12)


def test_an_unfinished_group_moves_the_weights_at_the_end_of_the_epoch():
    watch = Watch()
    fit(make_cyclegan(accumulate_batches=2), make_batches(3), callbacks=[watch], max_epochs=2)
    everything = {"g", "d", "average"}
    assert watch.moved == [set(), everything, everything] * 2


def test_discriminators_step_more_often_than_generators():
    watch = Watch()
    fit(make_cyclegan(num_discriminator_steps=3), make_batches(4), callbacks=[watch])
    everything = {"g", "d", "average"}
    assert watch.moved == [everything, {"d"}, {"d"}, everything]


def test_discriminator_steps_count_groups_of_accumulated_batches():
    watch = Watch()
    fit(make_cyclegan(num_discriminator_steps=2, accumulate_batches=2), make_batches(8), callbacks=[watch])
    assert watch.moved == [set(), {"g", "d", "average"}, set(), {"d"}] * 2


def test_losses_are_known_where_the_generators_do_not_learn():
    steady = dict(learning_rate_generators=0.0, learning_rate_discriminators=0.0)
    losses = fit(make_cyclegan(num_discriminator_steps=2, **steady), make_batches(2))
    assert losses == fit(make_cyclegan(**steady), make_batches(2))


def test_gradients_are_clipped_by_the_norm_of_each_side():
    free, clipped = Watch(), Watch()
    fit(make_cyclegan(), make_batches(1), callbacks=[free])
    generators, discriminators = free.norms
    limit = (generators + discriminators) / 2
    assert generators > limit > discriminators
    fit(make_cyclegan(clip_gradients=limit), make_batches(1), callbacks=[clipped])
    assert clipped.norms == pytest.approx([limit, discriminators], rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_gradients_are_clipped_in_half_precision(precision):
    batches = [{key: image.float() for key, image in batch.items()} for batch in make_batches(1)]
    watch = Watch()
    fit(make_cyclegan(clip_gradients=0.1).float(), batches, callbacks=[watch], precision=precision)
    assert watch.norms == pytest.approx([0.1, 0.1], rel=0.02)


def test_two_time_scales():
    moved = []
    for changes in ({"learning_rate_generators": 0.0}, {"learning_rate_discriminators": 0.0}):
        watch = Watch()
        fit(make_cyclegan(**changes), make_batches(1), callbacks=[watch])
        moved.append(watch.moved[0])
    assert moved == [{"d"}, {"g", "average"}]


class Rates(pl.Callback):
    def __init__(self):
        self.of_epoch = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.of_epoch.append([group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups])


def test_the_schedule_is_stepped_once_an_epoch_on_both_sides():
    rates = Rates()
    model = make_cyclegan(schedule="cosine", constant_share=0.5)
    fit(model, make_batches(3), max_epochs=4, callbacks=[rates])
    factors = [1, 1, 0.75, 0.25]
    assert [of_epoch[0] for of_epoch in rates.of_epoch] == pytest.approx([1e-3 * factor for factor in factors])
    assert [of_epoch[1] for of_epoch in rates.of_epoch] == pytest.approx([2e-3 * factor for factor in factors])


def test_no_moving_average():
    model = make_cyclegan(ema_decay=None)
    fit(model, make_batches(1))
    assert model.translator_ab is model.generator_ab
    assert model.translator_ba is model.generator_ba


class Types(pl.Callback):
    """What the generator computes in."""

    def setup(self, trainer, pl_module, stage):
        pl_module.generator_ab.register_forward_hook(lambda network, inputs, output: self.note(output))

    def note(self, output):
        self.output = output.dtype


def test_mixed_precision_computes_in_bfloat16_and_keeps_weights_in_float32():
    batches = [{key: image.float() for key, image in batch.items()} for batch in make_batches(2)]
    types, results = Types(), {}
    for precision in ("32-true", "bf16-mixed"):
        model = make_cyclegan().float()
        results[precision] = fit(model, batches, precision=precision, callbacks=[types])
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert types.output == torch.bfloat16
    for exact, mixed in zip(*results.values()):
        assert exact != mixed
        assert list(mixed.values()) == pytest.approx(list(exact.values()), rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"learning_rate_generators": -1e-3},
            r"optimization\.learning_rate_generators: expected 0 or more, got -0\.001",
        ),
        ({"learning_rate_discriminators": float("nan")}, r"optimization\.learning_rate_discriminators.*nan"),
        ({"beta1": 1.0}, r"optimization\.beta1: expected a share in \[0, 1\), got 1\.0"),
        ({"schedule": "step"}, r"optimization\.schedule: expected one of linear, cosine, got 'step'"),
        ({"clip_gradients": 0.0}, r"optimization\.clip_gradients: .*null for none; got 0\.0"),
        ({"accumulate_batches": 0}, r"optimization\.accumulate_batches: expected 1 or more, got 0"),
        ({"num_discriminator_steps": 0}, r"optimization\.num_discriminator_steps: expected 1 or more, got 0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        Optimization(**OPTIMIZATION | changes)
