"""Steps whose loss or gradients are not finite move nothing, and are known later."""

import pytest
import pytorch_lightning as pl
import torch
from example_training.cyclegans import fit, make_batches, make_cyclegan

from mri_cyclegan.training.skipped_steps import SkippedSteps, Step, has_finite_weights

NAN, INF = float("nan"), float("inf")
ALONE = dict(ema_decay=None, pool_size=0)


class Gradients(pl.Callback):
    """Puts a value into a gradient of some sides in one batch."""

    def __init__(self, value, batch, *networks):
        self.value, self.batch, self.networks = value, batch, networks

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.batch:
            for name in self.networks:
                weight = next(getattr(pl_module, name).parameters())
                handle = weight.register_hook(self.spoil)
                weight.handles = [*getattr(weight, "handles", []), handle]
        else:
            for weight in pl_module.parameters():
                for handle in getattr(weight, "handles", []):
                    handle.remove()

    def spoil(self, gradient):
        spoiled = gradient.clone()
        spoiled.view(-1)[0] = self.value
        return spoiled


def states(model):
    """Weights and moments of both optimizers."""
    moments = [
        value for optimizer in model.trainer.optimizers for one in optimizer.state.values() for value in one.values()
    ]
    return [value.detach().clone() for value in (*model.parameters(), *moments)]


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(states(first), states(second), strict=True))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("contrast", ["a", "b"])
def test_a_batch_that_is_not_finite_leaves_no_trace(value, contrast):
    batches = make_batches(3)
    spoiled, without = make_cyclegan(**ALONE), make_cyclegan(**ALONE)
    image = batches[1][contrast].clone()
    image[0, 0, 3, 4] = value
    fit(spoiled, [batches[0], batches[1] | {contrast: image}, batches[2]])
    fit(without, [batches[0], batches[2]])
    assert same(spoiled, without)
    spoiled.skipped_steps.read()
    assert spoiled.skipped_steps.take() == [Step(0, 1, "generators"), Step(0, 1, "discriminators")]
    assert spoiled.skipped_steps.num_consecutive == 0, "one good batch came after it"


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize(
    ("network", "side", "other"),
    [("generator_ab", "generators", "discriminator_b"), ("discriminator_b", "discriminators", "generator_ab")],
)
def test_a_gradient_that_is_not_finite_stops_its_side_alone(value, network, side, other):
    model, before = make_cyclegan(**ALONE), make_cyclegan(**ALONE)
    fit(model, make_batches(2), callbacks=[Gradients(value, 1, network)])
    fit(before, make_batches(2)[:1])
    for name in (network, other):
        pairs = zip(getattr(model, name).parameters(), getattr(before, name).parameters(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs) == (name == network)
    model.skipped_steps.read()
    assert model.skipped_steps.num_consecutive == 1
    assert model.skipped_steps.found == [Step(0, 1, side)]


def test_a_loss_that_is_not_finite_skips_the_step_whatever_its_gradient_is(monkeypatch):
    model = make_cyclegan(**ALONE)
    monkeypatch.setattr("mri_cyclegan.training.cyclegan.cycle_loss", lambda *_: torch.tensor(NAN))
    before = [weight.detach().clone() for weight in model.generator_ab.parameters()]
    fit(model, make_batches(1))
    assert all(torch.equal(one, two) for one, two in zip(before, model.generator_ab.parameters(), strict=True))
    model.skipped_steps.read()
    assert model.skipped_steps.found == [Step(0, 0, "generators")]


@pytest.mark.parametrize("changes", [{"clip_gradients": 0.1}, {"accumulate_batches": 2}])
def test_also_where_gradients_are_clipped_or_added_up(changes):
    spoiled, without = make_cyclegan(**ALONE, **changes), make_cyclegan(**ALONE, **changes)
    batches = make_batches(6)
    fit(spoiled, [*batches[:2], {"a": batches[2]["a"] * NAN, "b": batches[2]["b"]}, batches[3], *batches[4:]])
    fit(without, [*batches[:2], *batches[3 if "clip_gradients" in changes else 4 :]])
    assert same(spoiled, without)
    spoiled.skipped_steps.read()
    last = 2 if "clip_gradients" in changes else 3
    assert {step.batch for step in spoiled.skipped_steps.found} == {last}


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "32-true"])
def test_in_every_precision(precision):
    batches = [{key: image.float() for key, image in batch.items()} for batch in make_batches(2)]
    model, before = make_cyclegan(**ALONE).float(), make_cyclegan(**ALONE).float()
    fit(model, [batches[0], {"a": batches[1]["a"] * INF, "b": batches[1]["b"]}], precision=precision)
    fit(before, batches[:1], precision=precision)
    assert same(model, before)


def test_averages_and_pools_stay_finite():
    model = make_cyclegan(pool_size=3)
    batches = make_batches(3)
    fit(model, [batches[0], {"a": batches[1]["a"] * NAN, "b": batches[1]["b"]}, batches[2]])
    assert all(value.isfinite().all() for name, value in model.state_dict().items() if isinstance(value, torch.Tensor))


def test_it_can_be_switched_off():
    model = make_cyclegan(**ALONE, skip_non_finite=False)
    fit(model, make_batches(1), callbacks=[Gradients(NAN, 0, "generator_ab")])
    assert any(weight.isnan().any() for weight in model.generator_ab.parameters())
    assert not has_finite_weights(model)
    assert model.skipped_steps.found == []


def test_it_costs_nothing_where_all_is_finite():
    on, off = make_cyclegan(), make_cyclegan(skip_non_finite=False)
    assert fit(on, make_batches(3)) == fit(off, make_batches(3))
    assert same(on, off)


def test_notes_are_read_together_and_counted_for_each_side():
    steps = SkippedSteps()
    for batch, flags in enumerate([(1, 0), (None, 0), (1, 1), (None, 0), (1, 1)]):  # generators learn from every other
        for side, flag in zip(("generators", "discriminators"), flags):
            if flag is not None:
                steps.add(Step(0, batch, side), torch.tensor(float(flag)))
    assert steps.take() == [] and steps.num_consecutive == 0, "nobody has read them"
    steps.read()
    assert steps.num_consecutive == 3, "of the generators"
    assert [(step.batch, step.side[0]) for step in steps.take()] == [(0, "g"), (2, "g"), (2, "d"), (4, "g"), (4, "d")]
    assert steps.take() == []
    steps.add(Step(0, 5, "generators"), torch.tensor(0.0))
    steps.read()
    assert steps.num_consecutive == 1, "of the discriminators"
