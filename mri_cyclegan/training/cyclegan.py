"""CycleGAN as a LightningModule."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mri_cyclegan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
)
from mri_cyclegan.losses.cycle import CYCLE_LOSSES, cycle_loss, identity_loss
from mri_cyclegan.losses.gradient_penalty import GRADIENT_PENALTIES, gradient_penalty
from mri_cyclegan.training.argument_checks import require_non_negative, require_one_of
from mri_cyclegan.training.compilation import force_eager
from mri_cyclegan.training.earlier_checkpoints import upgrade_rank_states, upgrade_weights
from mri_cyclegan.training.extra_losses import ExtraLoss, ExtraLosses
from mri_cyclegan.training.freezing import frozen
from mri_cyclegan.training.generator_outputs import GeneratorOutputs
from mri_cyclegan.training.image_pool import ImagePool
from mri_cyclegan.training.loss_logger import LossLogger
from mri_cyclegan.training.loss_means import LossMeans
from mri_cyclegan.training.loss_weights import LossWeights
from mri_cyclegan.training.optimization import Optimization
from mri_cyclegan.training.skipped_steps import SkippedSteps, Step
from mri_cyclegan.training.translation_module import TranslationModule


class CycleGAN(TranslationModule):
    """Two generators and two discriminators, trained in the nine steps of the reference recipe.

    Contrast a is T1w and b T2w by default; ``generator_ab`` maps a to b, ``discriminator_b`` scores images of b.
    An image is a slice, or a stack of neighboring slices as channels, C = 2k + 1; see :mod:`mri_cyclegan.slice_stack`.

    Args:
        generator_ab: (B, C, H, W) in [-1, 1] to the same.
        generator_ba: a separate network with the same shapes.
        discriminator_a: (B, C, H, W) to patch logits.
        discriminator_b: a separate network with the same shapes.
        optimization: optimizer settings; None for the defaults.
        adversarial_loss: see :func:`mri_cyclegan.losses.adversarial.discriminator_adversarial_loss`.
        lambda_adversarial: weight of the generators' adversarial losses.
        gradient_penalty: of the discriminators, see :func:`mri_cyclegan.losses.gradient_penalty.gradient_penalty`, or
            None.
        lambda_gradient_penalty: weight of the gradient penalty.
        gradient_penalty_every: compute the penalty every n-th batch only, with n times the weight ("lazy", Karras et
            al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, section 3.1).
        lambda_cycle: weight of the cycle-consistency losses; 0 skips their forward passes.
        cycle_weights: relative weights of the cycles a → b → a and b → a → b, multiplied by ``lambda_cycle``.
        cycle_loss: see :func:`mri_cyclegan.losses.cycle.cycle_loss`.
        cycle_noise: standard deviation of noise added to a fake before it is translated back, so that generators cannot
            hide information in it (Chu et al., "CycleGAN, a master of steganography", 2017; Bashkirova et al.,
            "Adversarial self-defense for cycle-consistent GANs", NeurIPS 2019, section 4.1).
        lambda_identity: weight of the identity losses; 0 skips their forward passes.
        decay: maps ``cycle`` and ``identity`` to the share of the epochs over which the weight falls linearly to 0.
        extra_losses: losses beyond the reference recipe, by name; see :mod:`mri_cyclegan.training.extra_losses`.
        pool_size: generated images kept for each discriminator.
        recompute: recompute the generators' activations in the backward pass instead of storing them (activation
            checkpointing): larger images fit into memory, a step takes about a third longer.

    Raises:
        ValueError: a value is unknown or out of range.

    Reference:
        Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017.
    """

    def __init__(
        self,
        generator_ab: nn.Module,
        generator_ba: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        optimization: Optimization | None = None,
        *,
        adversarial_loss: str = "lsgan",
        lambda_adversarial: float = 1.0,
        gradient_penalty: str | None = None,
        lambda_gradient_penalty: float = 10.0,
        gradient_penalty_every: int = 1,
        lambda_cycle: float = 10.0,
        cycle_weights: Sequence[float] = (1.0, 1.0),
        cycle_loss: str = "l1",
        cycle_noise: float = 0.0,
        lambda_identity: float = 5.0,
        decay: Mapping[str, float | None] | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
        pool_size: int = 50,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        require_one_of("model.adversarial_loss", adversarial_loss, ADVERSARIAL_LOSSES)
        require_one_of("model.gradient_penalty", gradient_penalty, (None, *GRADIENT_PENALTIES))
        require_one_of("model.cycle_loss", cycle_loss, CYCLE_LOSSES)
        if gradient_penalty_every < 1:
            raise ValueError(f"model.gradient_penalty_every: expected 1 or more batches, got {gradient_penalty_every}.")
        for key, value in (("cycle_noise", cycle_noise), ("lambda_gradient_penalty", lambda_gradient_penalty)):
            require_non_negative(f"model.{key}", value)
        if not isinstance(cycle_weights, Sequence) or len(cycle_weights) != 2:
            raise ValueError(f"model.cycle_weights: expected two, of a and of b, such as [1,1]; got {cycle_weights}.")
        for value in cycle_weights:
            require_non_negative("model.cycle_weights", value)
        self.automatic_optimization = False
        self.optimization = optimization or Optimization()
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.adversarial_loss, self.cycle_loss, self.cycle_noise = adversarial_loss, cycle_loss, cycle_noise
        self.gradient_penalty, self.gradient_penalty_every = gradient_penalty, gradient_penalty_every
        self.lambda_gradient_penalty, self.cycle_weights = lambda_gradient_penalty, cycle_weights
        self.loss_weights = LossWeights(lambda_adversarial, lambda_cycle, lambda_identity, decay or {})
        self.extra_losses = ExtraLosses(extra_losses or {}, generator_ab, generator_ba)
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.ema_ab = self.optimization.make_ema(generator_ab)
        self.ema_ba = self.optimization.make_ema(generator_ba)
        self.recompute = recompute
        self.outputs: GeneratorOutputs | None = None
        self.loss_logger = LossLogger()
        self.skipped_steps = SkippedSteps()
        self.learning_rate_factor = 1.0
        self.register_load_state_dict_pre_hook(upgrade_weights)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The two generators and two discriminators, without the networks of extra losses."""
        return self.generator_ab, self.generator_ba, self.discriminator_a, self.discriminator_b

    @property
    def has_bounded_loss(self) -> bool:
        """Whether a discriminator loss near 0 is a warning sign; a Wasserstein loss may be negative and cross 0."""
        return self.adversarial_loss != "wgan" and self.loss_weights.initial["adversarial"] > 0

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Run the nine steps, in order, on one batch of unpaired slices ``a`` and ``b``, each (B, C, H, W)."""
        if self.compiled == "cuda_graphs" and self.optimization.starts_accumulation(batch_index):
            torch.compiler.cudagraph_mark_step_begin()  # outputs and gradients of earlier batches may be overwritten
        real_a, real_b = batch["a"], batch["b"]
        progress = (self.current_epoch, self.trainer.max_epochs or 0)
        weights = self.loss_weights.at(*progress) | self.extra_losses.weights_at(*progress)
        updates_generators = self.optimization.updates_generators(batch_index)
        with frozen(self.discriminator_a, self.discriminator_b), torch.set_grad_enabled(updates_generators):
            # Steps 1, 2 and 3: a to b and back, b to a and back, identity.
            outputs = self.generate(real_a, real_b, weights)
            # Step 4: discriminator logits of the fakes, for the generators' losses.
            logits_b = self.discriminator_b(outputs.fake_b)
            logits_a = self.discriminator_a(outputs.fake_a)
            # Step 5: adversarial losses of the generators.
            adversarial_ab = generator_adversarial_loss(logits_b, self.adversarial_loss)
            adversarial_ba = generator_adversarial_loss(logits_a, self.adversarial_loss)
            # Step 6: cycle consistency.
            cycle_a = cycle_loss(outputs.cycled_a, real_a, self.cycle_loss)
            cycle_b = cycle_loss(outputs.cycled_b, real_b, self.cycle_loss)
            # Step 7: identity, extra losses, and the total loss of the generators.
            identity_b = identity_loss(outputs.identity_b, real_b)
            identity_a = identity_loss(outputs.identity_a, real_a)
            generators = (self.generator_ab, self.generator_ba)
            extra_losses, extra_total = self.extra_losses(outputs, real_a, real_b, generators, weights)
            generator_total = (
                weights["adversarial"] * (adversarial_ab + adversarial_ba)
                + weights["cycle"] * (self.cycle_weights[0] * cycle_a + self.cycle_weights[1] * cycle_b)
                + weights["identity"] * (identity_a + identity_b)
                + extra_total
            )
        # Step 8: discriminator losses on real images and on fakes from the pools.
        fake_a, fake_b = self.pool_a.query(outputs.fake_a.detach()), self.pool_b.query(outputs.fake_b.detach())
        discriminator_a = self.discriminator_loss(self.discriminator_a, real_a, fake_a)
        discriminator_b = self.discriminator_loss(self.discriminator_b, real_b, fake_b)
        discriminator_total = discriminator_a + discriminator_b + self.penalty(real_a, real_b, outputs)
        # Step 9: gradients and weights. The two graphs share no trained weights, so their updates do not interfere.
        self.update(generator_total, discriminator_total, batch_index)

        self.outputs = GeneratorOutputs(*(image.detach() for image in outputs))
        losses = {"generators": generator_total, "adversarial_ab": adversarial_ab, "adversarial_ba": adversarial_ba}
        losses |= {"cycle_a": cycle_a, "cycle_b": cycle_b, "identity_a": identity_a, "identity_b": identity_b}
        losses |= {"discriminator_a": discriminator_a, "discriminator_b": discriminator_b}
        self.loss_logger.log(self, losses | extra_losses)

    def generate(self, real_a: Tensor, real_b: Tensor, weights: Mapping[str, float]) -> GeneratorOutputs:
        """Steps 1 to 3: each generator computes its fake and its identity image in one pass over both real images.

        1. fake_b = generator_ab(real_a), cycled_a = generator_ba(fake_b)
        2. fake_a = generator_ba(real_b), cycled_b = generator_ab(fake_a)
        3. identity_b = generator_ab(real_b), identity_a = generator_ba(real_a)

        With instance normalization the images of a batch do not affect each other: one concatenated pass gives the
        same numbers as two passes, with fewer and larger kernels. An image that no loss needs is not computed; the
        real image takes its place.
        """
        generator_ab, generator_ba = (
            partial(self.run_generator, network) for network in (self.generator_ab, self.generator_ba)
        )
        if weights["identity"] or self.extra_losses.need_identity(weights):
            fake_b, identity_b = generator_ab(torch.cat([real_a, real_b])).chunk(2)
            fake_a, identity_a = generator_ba(torch.cat([real_b, real_a])).chunk(2)
        else:
            fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
            identity_b, identity_a = real_b, real_a
        if weights["cycle"]:
            cycled_a = generator_ba(self.add_cycle_noise(fake_b))
            cycled_b = generator_ab(self.add_cycle_noise(fake_a))
        else:
            cycled_a, cycled_b = real_a, real_b
        return GeneratorOutputs(fake_b, cycled_a, fake_a, cycled_b, identity_b, identity_a)

    def run_generator(self, generator: nn.Module, image: Tensor) -> Tensor:
        """One forward pass, (B, C, H, W) to the same; with ``recompute`` it does not store activations."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(generator, image, use_reentrant=False)
        return generator(image)

    def add_cycle_noise(self, fake: Tensor) -> Tensor:
        """Add ``cycle_noise`` to a fake, (B, C, H, W)."""
        return fake + self.cycle_noise * torch.randn_like(fake) if self.cycle_noise else fake

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Step 8 for one discriminator: its loss on real images and detached fakes, each (B, C, H, W).

        One pass if the discriminator scores each image independently, as with instance normalization: same numbers as
        two passes, with fewer and larger kernels. A discriminator that uses batch statistics must not mix the two.
        """
        fake = fake.to(real)
        if getattr(discriminator, "batch_independent", False):
            real_logits, fake_logits = discriminator(torch.cat([real, fake])).chunk(2)
        else:
            real_logits, fake_logits = discriminator(real), discriminator(fake)
        return discriminator_adversarial_loss(real_logits, fake_logits, self.adversarial_loss)

    def penalty(self, real_a: Tensor, real_b: Tensor, outputs: GeneratorOutputs) -> Tensor | float:
        """Step 8: gradient penalty of both discriminators, every n-th batch with n times the weight."""
        num_batches = self.trainer.fit_loop.epoch_loop.total_batch_idx
        if self.gradient_penalty is None or num_batches % self.gradient_penalty_every:
            return 0.0
        with force_eager(self.compiled):  # compiled networks do not support second derivatives
            penalty_a = gradient_penalty(self.discriminator_a, real_a, outputs.fake_a.detach(), self.gradient_penalty)
            penalty_b = gradient_penalty(self.discriminator_b, real_b, outputs.fake_b.detach(), self.gradient_penalty)
        return self.lambda_gradient_penalty * self.gradient_penalty_every * (penalty_a + penalty_b)

    def update(self, generator_total: Tensor, discriminator_total: Tensor, batch_index: int) -> None:
        """Step 9: backward passes of both sides and, after a group of batches, optimizer steps and moving averages."""
        generators, discriminators = self.optimizers()  # type: ignore[misc, attr-defined]
        if self.optimization.updates_generators(batch_index):
            moved = self.backward_and_step(generators, generator_total, batch_index)
            if moved and self.ema_ab is not None and self.ema_ba is not None:
                self.ema_ab.update(self.generator_ab)
                self.ema_ba.update(self.generator_ba)
        self.backward_and_step(discriminators, discriminator_total, batch_index)

    def backward_and_step(self, optimizer: Any, loss: Tensor, batch_index: int) -> bool:
        """Step 9 for the generators or the discriminators; returns whether the optimizer stepped."""
        if self.optimization.starts_accumulation(batch_index):
            optimizer.zero_grad()
        # Make all gradients of a non-finite loss non-finite (some may be 0), on every rank after the all-reduce.
        self.manual_backward(loss * (0 * loss.detach() + 1) / self.optimization.accumulate_batches)
        moves = self.optimization.ends_accumulation(batch_index) or self.trainer.is_last_batch
        if moves:
            optimizer.step()
        return moves

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradients or skip the step; here gradients are complete and, in half precision, unscaled."""
        skipped = self.optimization.prepare_gradients(optimizer)
        if skipped is not None:
            side = "generators" if optimizer is self.trainer.optimizers[0] else "discriminators"
            self.skipped_steps.add(Step(self.current_epoch, self.trainer.fit_loop.batch_idx, side), skipped)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """One Adam for generators and extra losses, one for discriminators, each with its schedule."""
        sides = (self.generator_ab, self.generator_ba, self.extra_losses), (self.discriminator_a, self.discriminator_b)
        return self.optimization.optimizers(sides, self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save how many steps were skipped just before: the weights may be beyond repair."""
        self.skipped_steps.read()
        checkpoint["skipped_in_a_row"] = self.skipped_steps.num_consecutive

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Upgrade checkpoints of earlier versions and adapt optimizer states to this run's precision."""
        upgrade_rank_states(checkpoint)
        self.optimization.adapt_states(checkpoint["optimizer_states"], self.trainer)

    def on_train_start(self) -> None:
        """Set the configured learning rates, since loading a checkpoint restores those it was saved with."""
        self.optimization.set_learning_rates(self.lr_schedulers(), self.learning_rate_factor, self.trainer)

    def on_train_epoch_start(self) -> None:
        """Reset the loss means, which an epoch that ended early leaves behind."""
        self.loss_logger.means = LossMeans()

    def on_train_epoch_end(self) -> None:
        """Step the schedules once per epoch, which Lightning does not do in manual optimization."""
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()  # type: ignore[call-arg]
