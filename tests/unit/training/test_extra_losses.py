"""What the training step adds to the nine steps when it is asked to: each term by its effect."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from example_training.cyclegans import fit, make_batches, make_cyclegan, make_networks
from torch import nn
from torch.nn import functional as F

from mri_cyclegan.losses.cycle import cycle_loss
from mri_cyclegan.losses.gradient_penalty import gradient_penalty
from mri_cyclegan.losses.structure import STRUCTURE_LOSSES, structure_loss
from mri_cyclegan.training.extra_losses import ExtraLoss, ExtraLosses, PairedLoss, PatchNCELoss, StructureLoss
from mri_cyclegan.training.loss_weights import LossWeights

STEADY = dict(learning_rate_generators=0.0, learning_rate_discriminators=0.0)


def losses_of(**changes):
    """Losses of one batch, and the batch with everything the untrained generators make of it."""
    (batch,) = make_batches(1)
    (losses,) = fit(make_cyclegan(**STEADY, **changes), [batch])
    g_ab, g_ba, _, _ = make_networks()
    with torch.no_grad():
        batch |= {"fake_b": g_ab(batch["a"]), "fake_a": g_ba(batch["b"])}
        batch |= {"identity_b": g_ab(batch["b"]), "identity_a": g_ba(batch["a"])}
    return losses, batch


def calls_of(model):
    """Counts how often a model's generators are run."""
    calls = []
    for network in (model.generator_ab, model.generator_ba):
        network.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("kind", STRUCTURE_LOSSES)
def test_structure_is_compared_between_a_fake_and_its_source(kind):
    plain, _ = losses_of()
    losses, images = losses_of(extra_losses={"structure": StructureLoss(2.0, kind=kind)})
    assert losses["structure_ab"] == pytest.approx(float(structure_loss(images["fake_b"], images["a"], kind)))
    assert losses["structure_ba"] == pytest.approx(float(structure_loss(images["fake_a"], images["b"], kind)))
    assert losses["structure_ab"] != losses["structure_ba"]
    added = 2.0 * (losses["structure_ab"] + losses["structure_ba"])
    assert losses["generators"] == pytest.approx(plain["generators"] + added)


def test_a_fake_is_compared_with_the_real_image_beside_it():
    plain, _ = losses_of()
    losses, images = losses_of(extra_losses={"paired": PairedLoss(4.0)})
    assert losses["paired_b"] == pytest.approx(float((images["fake_b"] - images["b"]).abs().mean()))
    assert losses["paired_a"] == pytest.approx(float((images["fake_a"] - images["a"]).abs().mean()))
    added = 4.0 * (losses["paired_a"] + losses["paired_b"])
    assert losses["generators"] == pytest.approx(plain["generators"] + added)
    assert "smoothness_b" not in losses


class Shift(nn.Module):
    """Moves an image by one pixel, always: the part of a registration network that training sees."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, moving, fixed):
        rows = torch.arange(16, dtype=moving.dtype)[None, None, :, None].expand(len(moving), 2, 16, 16)
        return moving.roll(1, dims=-1) * (1 + 0 * self.slope), rows * self.slope


def test_registration_moves_a_fake_before_it_is_compared():
    plain, _ = losses_of()
    losses, images = losses_of(extra_losses={"paired": PairedLoss(4.0, None, Shift(), Shift(), smoothness_weight=3.0)})
    moved = images["fake_b"].roll(1, dims=-1)
    assert losses["paired_b"] == pytest.approx(float((moved - images["b"]).abs().mean()))
    added = 4.0 * (losses["paired_a"] + losses["paired_b"])
    added += 3.0 * (losses["smoothness_a"] + losses["smoothness_b"])
    assert losses["generators"] == pytest.approx(plain["generators"] + added)


def test_registration_networks_learn_with_the_generators():
    loss = PairedLoss(1.0, None, Shift(), Shift())
    fit(make_cyclegan(extra_losses={"paired": loss}), make_batches(2))
    assert 0 < loss.registration_a.slope.item() < 0.5
    assert 0 < loss.registration_b.slope.item() < 0.5


def test_patches_are_contrasted_in_each_generators_own_features():
    plain, _ = losses_of()
    loss = PatchNCELoss(2.0, num_patches=64)
    model = make_cyclegan(**STEADY, extra_losses={"nce": loss}, lambda_identity=0.0)
    nce_ab = copy.deepcopy(loss.ab)
    (batch,) = make_batches(1)
    (losses,) = fit(model, [batch])
    g_ab, _, _, _ = make_networks()
    with torch.no_grad():
        images = {"fake": g_ab(batch["a"]), "identity": g_ab(batch["b"])}
        of_fake = nce_ab(g_ab.features(images["fake"]), g_ab.features(batch["a"]))
        of_identity = nce_ab(g_ab.features(images["identity"]), g_ab.features(batch["b"]))
    # With as many patches as places the loss does not depend on which are drawn; the finest layer has more.
    assert losses["nce_ab"] == pytest.approx(float(of_fake + of_identity) / 2, rel=0.15)
    added = 2.0 * (losses["nce_ab"] + losses["nce_ba"])
    without_identity = plain["generators"] - 3.0 * (plain["identity_a"] + plain["identity_b"])
    assert losses["generators"] == pytest.approx(without_identity + added)


def test_the_contrastive_layers_learn_and_its_sources_get_no_gradient():
    weights = dict(lambda_adversarial=0.0, lambda_cycle=0.0, lambda_identity=0.0)
    model = make_cyclegan(extra_losses={"nce": PatchNCELoss(num_patches=8)}, **weights)
    before = copy.deepcopy(model.extra_losses.state_dict())
    fit(model, make_batches(1))
    after = model.extra_losses.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)


def test_a_generator_without_features_cannot_be_contrasted():
    class Plain(nn.Module):
        pass

    with pytest.raises(ValueError, match=r"extra_loss\.nce: Plain has no features.*generator=resnet"):
        ExtraLosses({"nce": PatchNCELoss()}, Plain(), Plain())


def test_the_cycle_by_another_loss():
    losses, images = losses_of(cycle_loss="l1_ssim")
    _, g_ba, _, _ = make_networks()
    with torch.no_grad():
        expected = cycle_loss(g_ba(images["fake_b"]), images["a"], "l1_ssim")
    assert losses["cycle_a"] == pytest.approx(float(expected))


def test_noise_on_the_way_back_alone():
    plain, _ = losses_of()
    losses, images = losses_of(cycle_noise=0.3)
    unchanged = ("adversarial_ab", "adversarial_ba", "identity_a", "identity_b", "discriminator_a", "discriminator_b")
    assert {name: losses[name] for name in unchanged} == {name: plain[name] for name in unchanged}
    torch.manual_seed(5)
    noise_b, noise_a = torch.randn_like(images["fake_b"]), torch.randn_like(images["fake_a"])
    g_ab, g_ba, _, _ = make_networks()
    with torch.no_grad():
        cycled_a = g_ba(images["fake_b"] + 0.3 * noise_b)
        cycled_b = g_ab(images["fake_a"] + 0.3 * noise_a)
    assert losses["cycle_a"] == pytest.approx(float(F.l1_loss(cycled_a, images["a"])))
    assert losses["cycle_b"] == pytest.approx(float(F.l1_loss(cycled_b, images["b"])))


@pytest.mark.parametrize(
    ("changes", "num_calls"),
    [
        ({}, 4),
        ({"lambda_identity": 0.0}, 4),
        ({"lambda_cycle": 0.0}, 2),
        ({"extra_losses": {"nce": PatchNCELoss(num_patches=8)}, "lambda_cycle": 0.0}, 2),
    ],
)
def test_no_pass_is_made_for_a_loss_without_weight(changes, num_calls):
    model = make_cyclegan(**changes)
    calls = calls_of(model)
    losses = fit(model, make_batches(1))
    assert len(calls) == num_calls
    if "lambda_cycle" in changes:
        assert losses[0]["cycle_a"] == losses[0]["cycle_b"] == 0.0


def test_a_weight_decays():
    identity_sizes = []

    class Sizes(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            identity_sizes.append(not torch.equal(pl_module.outputs.identity_a, self.real_a))

        def on_train_batch_start(self, trainer, pl_module, batch, *_):
            self.real_a = batch["a"]

    model = make_cyclegan(**STEADY, decay={"identity": 0.5})
    losses = fit(model, make_batches(1), max_epochs=4, callbacks=[Sizes()])
    without, _ = losses_of(lambda_identity=0.0)
    full, _ = losses_of()
    half = (without["generators"] + full["generators"]) / 2
    expected = [full["generators"], half, without["generators"], without["generators"]]
    assert [of_batch["generators"] for of_batch in losses] == pytest.approx(expected)
    assert identity_sizes == [True, True, False, False]


def test_the_weight_of_an_extra_loss_decays():
    model = make_cyclegan(**STEADY, extra_losses={"structure": StructureLoss(2.0, decay=0.5)})
    losses = fit(model, make_batches(1), max_epochs=4)
    plain, _ = losses_of()
    added = losses[0]["structure_ab"] + losses[0]["structure_ba"]
    expected = [plain["generators"] + weight * added for weight in (2.0, 1.0, 0.0, 0.0)]
    assert [of_batch["generators"] for of_batch in losses] == pytest.approx(expected)
    assert ["structure_ab" in of_batch for of_batch in losses] == [True, True, False, False]


class Brightness(ExtraLoss):
    """A loss of one's own."""

    def forward(self, outputs, real_a, real_b, generators):
        return {"brightness_ab": (outputs.fake_b.mean() - real_b.mean()).abs()}


def test_a_loss_of_ones_own_is_added_with_its_weight_and_logged():
    plain, _ = losses_of()
    losses, images = losses_of(extra_losses={"brightness": Brightness(3.0), "off": Brightness(0.0), "none": None})
    assert losses["brightness_ab"] == pytest.approx(abs(float(images["fake_b"].mean() - images["b"].mean())))
    assert losses["generators"] == pytest.approx(plain["generators"] + 3.0 * losses["brightness_ab"])


@pytest.mark.parametrize(
    ("decay", "message"),
    [
        ({"cycles": 0.5}, r"model\.decay\.cycles: unknown; expected cycle or identity"),
        ({"cycle": 0.0}, r"model\.decay\.cycle: expected a share of the epochs in \(0, 1\], or null.*got 0\.0"),
    ],
)
def test_a_decay_that_makes_no_sense_is_refused(decay, message):
    with pytest.raises(ValueError, match=message):
        LossWeights(1.0, 1.0, 1.0, decay)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"model\.lambda_cycle: expected 0 or more, got -1"):
        LossWeights(1.0, -1, 1.0, {})


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"structure": StructureLoss(-1)}, r"extra_loss\.structure\.weight: expected 0 or more, got -1"),
        ({"structure": StructureLoss(1, 2)}, r"extra_loss\.structure\.decay: expected a share.*got 2"),
        ({"edge": nn.Identity()}, r"extra_loss\.edge: expected a subclass of .*ExtraLoss.*got Identity"),
        ({"cycle": Brightness()}, r"extra_loss\.cycle: cycle is a loss of the reference recipe"),
    ],
)
def test_an_extra_loss_that_makes_no_sense_is_refused(losses, message):
    with pytest.raises(ValueError, match=message):
        make_cyclegan(extra_losses=losses)


class Penalties(pl.Callback):
    """The discriminators' gradients in each batch."""

    def __init__(self):
        self.gradients = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if optimizer is trainer.optimizers[1]:
            weights = [*pl_module.discriminator_a.parameters(), *pl_module.discriminator_b.parameters()]
            self.gradients.append(torch.cat([weight.grad.flatten() for weight in weights]))


@pytest.mark.parametrize("every", [1, 2])
def test_the_zero_centered_penalty_comes_every_so_often_with_as_many_times_the_weight(every):
    batches = make_batches(3)
    plain, penalized = Penalties(), Penalties()
    fit(make_cyclegan(**STEADY), batches, callbacks=[plain])
    changes = dict(gradient_penalty="zero_centered", lambda_gradient_penalty=0.5, gradient_penalty_every=every)
    fit(make_cyclegan(**STEADY, **changes), batches, callbacks=[penalized])
    _, _, d_a, d_b = make_networks()
    for number, batch in enumerate(batches):
        expected = torch.zeros_like(plain.gradients[0])
        if number % every == 0:
            penalty = sum(
                gradient_penalty(network, batch[key], batch[key], "zero_centered")
                for network, key in ((d_a, "a"), (d_b, "b"))
            )
            weights = [*d_a.parameters(), *d_b.parameters()]
            found = torch.autograd.grad(0.5 * every * penalty, weights, allow_unused=True, materialize_grads=True)
            expected = torch.cat([gradient.flatten() for gradient in found])
            assert expected.abs().max() > 1e-3
        assert torch.allclose(penalized.gradients[number] - plain.gradients[number], expected, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adversarial_loss": "ls"}, r"model\.adversarial_loss: expected one of lsgan, bce, hinge, wgan, got 'ls'"),
        ({"gradient_penalty": "r1"}, r"model\.gradient_penalty: expected one of null, interpolated, zero_centered"),
        ({"gradient_penalty_every": 0}, r"model\.gradient_penalty_every: expected 1 or more"),
        ({"cycle_loss": "l2"}, r"model\.cycle_loss: expected one of l1, l1_ssim, got 'l2'"),
        ({"cycle_weights": [1.0]}, r"model\.cycle_weights: expected two"),
        ({"cycle_noise": -0.1}, r"model\.cycle_noise: expected 0 or more, got -0\.1"),
    ],
)
def test_unknown_settings_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        make_cyclegan(**changes)


def test_an_unknown_structure_loss_is_refused():
    with pytest.raises(ValueError, match=r"extra_loss\.structure\.kind: expected one of mind.*'ssim'"):
        StructureLoss(kind="ssim")
