"""The training step against a straight-line implementation of the nine steps, and against its own mutants."""

import copy
import sys
import types
from pathlib import Path

import pytest
import torch
from example_training.cyclegans import OPTIMIZATION, fit, make_batches, make_cyclegan, make_networks
from torch.nn import functional as F

import mri_cyclegan.training.cyclegan as cyclegan_module

SETTINGS = dict(
    lambda_adversarial=0.8, lambda_cycle=7.0, cycle_weights=(1.5, 0.5), lambda_identity=3.0, pool_size=3, ema_decay=0.9
)
NUM_STEPS = 4
TOLERANCE = 1e-9


def train_ours(module, adversarial_loss):
    model = make_cyclegan(module, adversarial_loss=adversarial_loss, **SETTINGS)
    return model, fit(model, make_batches(NUM_STEPS))


def pool_query(pool, fakes):
    shown = []
    for fake in fakes:
        if len(pool) < SETTINGS["pool_size"]:
            pool.append(fake.clone())
            shown.append(fake)
        elif torch.rand(()) < 0.5:
            shown.append(fake)
        else:
            position = int(torch.randint(SETTINGS["pool_size"], ()))
            shown.append(pool[position])
            pool[position] = fake.clone()
    return torch.stack(shown)


def wants_real(logits, kind):
    if kind == "lsgan":
        return F.mse_loss(logits, torch.ones_like(logits))
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return -logits.mean()  # hinge, wgan


def tells_apart(real, fake, kind):
    if kind == "lsgan":
        return (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))) / 2
    if kind == "bce":
        ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
        return (F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(fake, zeros)) / 2
    if kind == "wgan":
        return (fake.mean() - real.mean()) / 2
    return ((1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean()) / 2


def train_straight_line(kind):
    """The reference recipe's nine steps, separate passes, plain Adam on each side, gradients before weights."""
    g_ab, g_ba, d_a, d_b = make_networks()
    average_ab, average_ba = copy.deepcopy(g_ab), copy.deepcopy(g_ba)
    g_weights = [*g_ab.parameters(), *g_ba.parameters()]
    d_weights = [*d_a.parameters(), *d_b.parameters()]
    betas = (OPTIMIZATION["beta1"], 0.999)
    g_adam = torch.optim.Adam(g_weights, lr=OPTIMIZATION["learning_rate_generators"], betas=betas)
    d_adam = torch.optim.Adam(d_weights, lr=OPTIMIZATION["learning_rate_discriminators"], betas=betas)
    pool_a, pool_b, losses = [], [], []
    torch.manual_seed(5)
    for number, batch in enumerate(make_batches(NUM_STEPS)):
        real_a, real_b = batch["a"], batch["b"]
        # 1
        fake_b = g_ab(real_a)
        cycled_a = g_ba(fake_b)
        # 2
        fake_a = g_ba(real_b)
        cycled_b = g_ab(fake_a)
        # 3
        identity_b = g_ab(real_b)
        identity_a = g_ba(real_a)
        # 4, 5
        adversarial_ab = wants_real(d_b(fake_b), kind)
        adversarial_ba = wants_real(d_a(fake_a), kind)
        # 6
        cycle_a = (cycled_a - real_a).abs().mean()
        cycle_b = (cycled_b - real_b).abs().mean()
        # 7
        same_a = (identity_a - real_a).abs().mean()
        same_b = (identity_b - real_b).abs().mean()
        total = (
            SETTINGS["lambda_adversarial"] * (adversarial_ab + adversarial_ba)
            + SETTINGS["lambda_cycle"] * SETTINGS["cycle_weights"][0] * cycle_a
            + SETTINGS["lambda_cycle"] * SETTINGS["cycle_weights"][1] * cycle_b
            + SETTINGS["lambda_identity"] * (same_a + same_b)
        )
        # 8
        loss_a = tells_apart(d_a(real_a), d_a(pool_query(pool_a, fake_a.detach())), kind)
        loss_b = tells_apart(d_b(real_b), d_b(pool_query(pool_b, fake_b.detach())), kind)
        # 9
        g_gradients = torch.autograd.grad(total, g_weights)
        d_gradients = torch.autograd.grad(loss_a + loss_b, d_weights)
        for weights, gradients, optimizer in ((g_weights, g_gradients, g_adam), (d_weights, d_gradients, d_adam)):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
        decay = min(SETTINGS["ema_decay"], (1 + number) / (10 + number))
        for average, network in ((average_ab, g_ab), (average_ba, g_ba)):
            for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                slow.data = decay * slow.data + (1 - decay) * fast.data
        values = dict(
            generators=total,
            adversarial_ab=adversarial_ab,
            adversarial_ba=adversarial_ba,
            cycle_a=cycle_a,
            cycle_b=cycle_b,
            identity_a=same_a,
            identity_b=same_b,
            discriminator_a=loss_a,
            discriminator_b=loss_b,
        )
        losses.append({name: value.item() for name, value in values.items()})
    return (g_ab, g_ba, d_a, d_b, average_ab, average_ba), losses


def largest_difference(module, kind):
    """Largest deviation from the straight line, of any loss of any step and of any weight after the last."""
    model, losses = train_ours(module, kind)
    networks, expected_losses = train_straight_line(kind)
    assert len(losses) == len(expected_losses) == NUM_STEPS
    worst_loss = max(
        abs(step[name] - expected[name]) / max(1, abs(expected[name]))
        for step, expected in zip(losses, expected_losses, strict=True)
        for name in expected
    )
    ours = (
        model.generator_ab,
        model.generator_ba,
        model.discriminator_a,
        model.discriminator_b,
        model.translator_ab,
        model.translator_ba,
    )
    worst_weight = max(
        float((mine - theirs).detach().abs().max())
        for network, expected in zip(ours, networks, strict=True)
        for mine, theirs in zip(network.parameters(), expected.parameters(), strict=True)
    )
    return worst_loss, worst_weight


@pytest.mark.parametrize("kind", ["lsgan", "bce", "hinge", "wgan"])
def test_training_equals_the_straight_line(kind):
    worst_loss, worst_weight = largest_difference(cyclegan_module, kind)
    assert worst_loss < TOLERANCE
    assert worst_weight < TOLERANCE


MUTANTS = {
    "step 1: cycle through the same generator": (
        "cycled_a = generator_ba(self.add_cycle_noise(fake_b))",
        "cycled_a = generator_ab(fake_b)",
    ),
    "step 2: cycle from the wrong image": (
        "cycled_b = generator_ab(self.add_cycle_noise(fake_a))",
        "cycled_b = generator_ab(real_b)",
    ),
    "step 3: generators swapped in identity": (
        "return GeneratorOutputs(fake_b, cycled_a, fake_a, cycled_b, identity_b, identity_a)",
        "return GeneratorOutputs(fake_b, cycled_a, fake_a, cycled_b, "
        "self.generator_ba(real_b), self.generator_ab(real_a))",
    ),
    "step 4: wrong discriminator": (
        "logits_b = self.discriminator_b(outputs.fake_b)",
        "logits_b = self.discriminator_a(outputs.fake_b)",
    ),
    "step 4: judged without gradient": (
        "logits_a = self.discriminator_a(outputs.fake_a)",
        "logits_a = self.discriminator_a(outputs.fake_a.detach())",
    ),
    "step 5: wrong target": (
        "adversarial_ab = generator_adversarial_loss(logits_b, self.adversarial_loss)",
        "adversarial_ab = logits_b.square().mean()",
    ),
    "step 6: cycle against the wrong image": (
        "cycle_a = cycle_loss(outputs.cycled_a, real_a,",
        "cycle_a = cycle_loss(outputs.cycled_a, real_b,",
    ),
    "step 7: a weight is missing": ('weights["adversarial"] * (adversarial_ab', "(adversarial_ab"),
    "step 7: weights of the cycles swapped": (
        "self.cycle_weights[0] * cycle_a + self.cycle_weights[1] * cycle_b",
        "self.cycle_weights[1] * cycle_a + self.cycle_weights[0] * cycle_b",
    ),
    "step 7: identity left out": ('weights["identity"] * (identity_a + identity_b)', "0 * identity_a"),
    "step 8: no pool": ("self.pool_a.query(outputs.fake_a.detach())", "outputs.fake_a.detach()"),
    "step 8: pools swapped": (
        "self.pool_b.query(outputs.fake_b.detach())",
        "self.pool_a.query(outputs.fake_b.detach())",
    ),
    "step 8: fakes not detached": (
        "self.pool_b.query(outputs.fake_b.detach())",
        "self.pool_b.query(outputs.fake_b)",
    ),
    "step 8: real and fake swapped": (
        "discriminator_adversarial_loss(real_logits, fake_logits,",
        "discriminator_adversarial_loss(fake_logits, real_logits,",
    ),
    "step 9: gradients pile up": ("            optimizer.zero_grad()\n", "            pass\n"),
    "step 9: weights not updated": (
        "        self.backward_and_step(discriminators, discriminator_total, batch_index)\n",
        "",
    ),
    "step 9: one discriminator left out": (
        "discriminator_total = discriminator_a + discriminator_b +",
        "discriminator_total = discriminator_a +",
    ),
    "step 9: no average": ("if moved and self.ema_ab is not None", "if False and self.ema_ab is not None"),
    "average: generators swapped": ("self.ema_ab.update(self.generator_ab)", "self.ema_ab.update(self.generator_ba)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_straight_line_notices(name):
    right, wrong = MUTANTS[name]
    source = Path(cyclegan_module.__file__).read_text()
    assert source.count(right) == 1, f"the mutant's text has changed: {right}"
    mutant = types.ModuleType("mutant")
    sys.modules["mutant"] = mutant
    exec(compile(source.replace(right, wrong), "mutant", "exec"), mutant.__dict__)
    try:
        worst_loss, worst_weight = largest_difference(mutant, "lsgan")
    except RuntimeError as error:
        # Without detach the discriminator's loss reaches into the generators' graph, which is gone.
        assert "fakes not detached" in name and "second time" in str(error)
    else:
        assert max(worst_loss, worst_weight) > 1000 * TOLERANCE
