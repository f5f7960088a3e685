"""CycleGAN as a LightningModule."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.distributed import all_gather
from mri_cyclegan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
)
from mri_cyclegan.losses.cycle import CYCLE_LOSSES, cycle_loss, identity_loss
from mri_cyclegan.losses.gradient_penalty import GRADIENT_PENALTIES, gradient_penalty
from mri_cyclegan.slice_stack import centre_slice
from mri_cyclegan.training.compilation import compile_networks, eager
from mri_cyclegan.training.further_losses import FurtherLosses
from mri_cyclegan.training.generator_outputs import GeneratorOutputs
from mri_cyclegan.training.image_pool import ImagePool
from mri_cyclegan.training.loss_means import LossMeans
from mri_cyclegan.training.loss_weights import Weights, require_weight
from mri_cyclegan.training.lr_schedule import constant_then_falling
from mri_cyclegan.training.optimization import Optimization
from mri_cyclegan.training.skipped_steps import SkippedSteps, Step
from mri_cyclegan.training.validation_metrics import PairedMetrics

# Losses that the progress bar shows.
IN_PROGRESS_BAR = ("generators", "discriminator_a", "discriminator_b")

# Part of the module's state that differs between processes which train together.
POOLS = ("pool_a.images", "pool_b.images")


class CycleGAN(pl.LightningModule):
    """Two generators and two discriminators, trained in the nine steps of the method's document.

    Contrast a is T1w and b T2w by default; ``generator_ab`` maps a to b, ``discriminator_b`` judges images of b.
    An image is a slice, or a stack of neighbouring slices as channels, C = 2k + 1; see :mod:`mri_cyclegan.slice_stack`.

    Args:
        generator_ab: (B, C, H, W) in [-1, 1] to the same.
        generator_ba: likewise, another network.
        discriminator_a: (B, C, H, W) to patch logits.
        discriminator_b: likewise, another network.
        registration_a: moves a fake onto the real image that ``lambda_paired`` compares it with, or None; see
            :class:`mri_cyclegan.training.further_losses.FurtherLosses`.
        registration_b: likewise, another network.
        adversarial_loss: see :func:`mri_cyclegan.losses.adversarial.discriminator_adversarial_loss`.
        lambda_adversarial: weight of the generators' adversarial losses.
        gradient_penalty: of the discriminators, see :func:`mri_cyclegan.losses.gradient_penalty.gradient_penalty`, or
            None.
        lambda_gradient_penalty: its weight.
        gradient_penalty_every: so many batches, with as many times the weight ("lazy", Karras et al., "Analyzing and
            improving the image quality of StyleGAN", CVPR 2020, section 3.1).
        lambda_cycle: weight of the cycle-consistency losses; 0 leaves their passes out.
        cycle_weights: of the cycle from a and of the one from b, beside ``lambda_cycle``: they need not be equal.
        cycle_loss: see :func:`mri_cyclegan.losses.cycle.cycle_loss`.
        cycle_noise: standard deviation of the noise that a fake gets on its way back, against codes hidden in it
            (Chu et al., "CycleGAN, a master of steganography", 2017; Bashkirova et al., "Adversarial self-defense for
            cycle-consistent GANs", NeurIPS 2019, section 4.1).
        lambda_identity: weight of the identity losses; 0 leaves their passes out.
        structure_loss: see :func:`mri_cyclegan.losses.structure.structure_loss`.
        lambda_structure: its weight.
        lambda_nce: weight of the contrastive loss of patches.
        nce_num_patches: places that it compares in each layer.
        lambda_paired: weight of the difference between a fake and the real image of its contrast in the batch.
        lambda_smoothness: weight of the deformation's smoothness, where there are registration networks.
        fades: of the weights named there (cycle, identity, structure, nce, paired): share of the epochs over which
            each falls straight to 0; None where it stays.
        pool_size: generated images kept for each discriminator.
        recompute: compute each pass of a generator once more for its gradients, instead of keeping all its activations:
            larger images fit into memory, a step takes about a third longer.
        optimization: how the weights move.

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
        registration_a: nn.Module | None,
        registration_b: nn.Module | None,
        adversarial_loss: str,
        lambda_adversarial: float,
        gradient_penalty: str | None,
        lambda_gradient_penalty: float,
        gradient_penalty_every: int,
        lambda_cycle: float,
        cycle_weights: Sequence[float],
        cycle_loss: str,
        cycle_noise: float,
        lambda_identity: float,
        structure_loss: str,
        lambda_structure: float,
        lambda_nce: float,
        nce_num_patches: int,
        lambda_paired: float,
        lambda_smoothness: float,
        fades: Mapping[str, float | None],
        pool_size: int,
        recompute: bool,
        optimization: Optimization,
    ) -> None:
        super().__init__()
        _require("adversarial_loss", adversarial_loss, ADVERSARIAL_LOSSES)
        _require("gradient_penalty", gradient_penalty, (None, *GRADIENT_PENALTIES))
        _require("cycle_loss", cycle_loss, CYCLE_LOSSES)
        if gradient_penalty_every < 1:
            raise ValueError(f"model.gradient_penalty_every: expected 1 or more batches, got {gradient_penalty_every}.")
        for key, value in (("cycle_noise", cycle_noise), ("lambda_gradient_penalty", lambda_gradient_penalty)):
            require_weight(f"model.{key}", value)
        if not isinstance(cycle_weights, Sequence) or len(cycle_weights) != 2:
            raise ValueError(f"model.cycle_weights: expected two, of a and of b, such as [1,1]; got {cycle_weights}.")
        for value in cycle_weights:
            require_weight("model.cycle_weights", value)
        self.automatic_optimization = False
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.adversarial_loss, self.cycle_loss, self.cycle_noise = adversarial_loss, cycle_loss, cycle_noise
        self.gradient_penalty, self.gradient_penalty_every = gradient_penalty, gradient_penalty_every
        self.lambda_gradient_penalty = lambda_gradient_penalty
        self.cycle_weights = cycle_weights
        self.weights = Weights(
            fades,
            adversarial=lambda_adversarial,
            cycle=lambda_cycle,
            identity=lambda_identity,
            structure=lambda_structure,
            nce=lambda_nce,
            paired=lambda_paired,
            smoothness=lambda_smoothness,
        )
        self.further = FurtherLosses(
            generator_ab,
            generator_ba,
            structure_loss,
            nce_num_patches if lambda_nce else None,
            registration_a,
            registration_b,
        )
        self.optimization = optimization
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.ema_ab = optimization.average_of(generator_ab)
        self.ema_ba = optimization.average_of(generator_ba)
        self.recompute = recompute
        self.latest: GeneratorOutputs | None = None
        self.latest_losses: dict[str, Tensor] = {}
        self.loss_means = LossMeans()
        self.skipped_steps = SkippedSteps()
        self.learning_rate_factor = 1.0
        self.compiled: str | bool = False

    @property
    def translator_ab(self) -> nn.Module:
        """What turns a into b for use: the averaged generator, or the generator itself without averaging."""
        return self.generator_ab if self.ema_ab is None else self.ema_ab.network

    @property
    def translator_ba(self) -> nn.Module:
        """What turns b into a for use."""
        return self.generator_ba if self.ema_ba is None else self.ema_ba.network

    @property
    def has_bounded_loss(self) -> bool:
        """Whether a discriminator's loss near 0 is a bad sign: a Wasserstein loss has any sign, and may pass 0."""
        return self.adversarial_loss != "wgan" and self.weights.weights["adversarial"] > 0

    def translate(self, image: Tensor, direction: str) -> Tensor:
        """Translate slices for use.

        Args:
            image: (B, C, H, W), in [-1, 1].
            direction: ``"ab"`` or ``"ba"``.

        Returns:
            (B, 1, H, W), in [-1, 1]: of a stack the centre slice.
        """
        return centre_slice(self.translate_stack(image, direction))

    @torch.inference_mode()
    def translate_stack(self, image: Tensor, direction: str) -> Tensor:
        """As :meth:`translate`, all slices of a stack: what the way back needs.

        In evaluation mode, whatever the module's own mode is.
        """
        network = self.translator_ab if direction == "ab" else self.translator_ba
        was_training = network.training
        network.eval()
        with eager(self.compiled):  # or it would be compiled once more for each number of slices
            fake = network(image)
        network.train(was_training)
        return fake

    def compile_networks(self, mode: str | bool, device: torch.device, num_batches: float) -> None:
        """See :func:`mri_cyclegan.training.compilation.compile_networks`; for training alone."""
        networks = (self.generator_ab, self.generator_ba, self.discriminator_a, self.discriminator_b)
        self.compiled = compile_networks(networks, mode, device, num_batches)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the module's state has not: losses of an unfinished epoch, and each process's own pools.

        And whether the last steps were skipped: then nobody knows yet whether these weights can be trained.
        """
        pools = {name: checkpoint["state_dict"][name].cpu() for name in POOLS}
        checkpoint["of_ranks"] = all_gather({"loss_means": self.loss_means.state_dict(), "pools": pools})
        self.skipped_steps.read()
        checkpoint["skipped_in_a_row"] = self.skipped_steps.num_consecutive

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore them; where there were fewer processes, a further one has the pools of the first."""
        own = self._own_part(checkpoint)
        if own:
            self.loss_means.load_state_dict(own["loss_means"])

    def _own_part(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """What this process saved beside the module's state; into the state go its pools and its kind of Adam."""
        of_ranks = checkpoint.get("of_ranks", [])
        own = of_ranks[self.global_rank] if self.global_rank < len(of_ranks) else {}
        checkpoint["state_dict"].update(own.get("pools", {}))
        for state in checkpoint["optimizer_states"]:
            for group in state["param_groups"]:
                group.update(fused=self.fused, foreach=None)  # it may have been trained in another precision
        return own

    def on_train_start(self) -> None:
        """Set the optimizers as this run is configured: a checkpoint brings along the values of its own run."""
        self.set_learning_rates()

    def set_learning_rates(self) -> None:
        """As configured, times ``learning_rate_factor``, at the schedule's place."""
        schedulers: Any = self.lr_schedulers()
        for scheduler, rate in zip(schedulers, self.optimization.learning_rates, strict=True):
            self.optimization.set_rate(scheduler, rate * self.learning_rate_factor, self.schedule(self.current_epoch))

    def roll_back(self, checkpoint: dict[str, Any], learning_rate_factor: float) -> None:
        """Take weights, averages, pools and optimizers of a checkpoint while training, and go on more slowly.

        Args:
            checkpoint: of the same configuration, as it was saved.
            learning_rate_factor: on both learning rates from here on, beside earlier ones.
        """
        self._own_part(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])
        for optimizer, state in zip(self.trainer.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(state)
        self.zero_grad()
        self.learning_rate_factor *= learning_rate_factor
        self.set_learning_rates()
        self.skipped_steps = SkippedSteps()

    def on_train_epoch_start(self) -> None:
        """Forget the losses of an epoch that ended early."""
        self.loss_means = LossMeans()

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """The nine steps, in order, on one batch of unpaired slices ``a`` and ``b``, each (B, C, H, W)."""
        if self.compiled == "cuda_graphs" and self.optimization.starts_group(batch_index):
            torch.compiler.cudagraph_mark_step_begin()  # what earlier batches made, gradients too, may be written over
        real_a, real_b = batch["a"], batch["b"]
        weights = self.weights.at(self.current_epoch, self.trainer.max_epochs or 0)
        generators_learn = self.optimization.generators_learn(batch_index)

        with frozen(self.discriminator_a, self.discriminator_b), torch.set_grad_enabled(generators_learn):
            # Steps 1, 2 and 3: there and back from a, there and back from b, identity.
            generated = self.generate(real_a, real_b, weights)
            # Step 4: the discriminators judge the fakes, for the generators' sake.
            judged_b = self.discriminator_b(generated.fake_b)
            judged_a = self.discriminator_a(generated.fake_a)

            # Step 5: adversarial loss of each generator.
            adversarial_ab = generator_adversarial_loss(judged_b, self.adversarial_loss)
            adversarial_ba = generator_adversarial_loss(judged_a, self.adversarial_loss)

            # Step 6: cycle consistency.
            cycle_a = cycle_loss(generated.cycled_a, real_a, self.cycle_loss)
            cycle_b = cycle_loss(generated.cycled_b, real_b, self.cycle_loss)

            # Step 7: total loss of the generators.
            identity_b = identity_loss(generated.identity_b, real_b)
            identity_a = identity_loss(generated.identity_a, real_a)
            further = self.further(real_a, real_b, generated, (self.generator_ab, self.generator_ba), weights)
            generators = (
                weights["adversarial"] * (adversarial_ab + adversarial_ba)
                + weights["cycle"] * (self.cycle_weights[0] * cycle_a + self.cycle_weights[1] * cycle_b)
                + weights["identity"] * (identity_a + identity_b)
                + sum(weights[name.rpartition("_")[0]] * loss for name, loss in further.items())
            )

        # Step 8: the discriminators judge real images and fakes from the pools, for their own sake.
        discriminator_a = self.judge(self.discriminator_a, real_a, self.pool_a.query(generated.fake_a.detach()))
        discriminator_b = self.judge(self.discriminator_b, real_b, self.pool_b.query(generated.fake_b.detach()))
        discriminators = discriminator_a + discriminator_b
        num_batches = self.trainer.fit_loop.epoch_loop.total_batch_idx
        if self.gradient_penalty is not None and num_batches % self.gradient_penalty_every == 0:
            discriminators = discriminators + self.penalty(real_a, real_b, generated)

        # Step 9: gradients and weights. The two graphs share no weights, so one pair may follow the other.
        optimizer_generators, optimizer_discriminators = self.optimizers()  # type: ignore[misc, attr-defined]
        if generators_learn and self.update(optimizer_generators, generators, batch_index):
            self.average()
        self.update(optimizer_discriminators, discriminators, batch_index)

        self.latest = GeneratorOutputs(*(image.detach() for image in generated))
        self.log_losses(
            generators=generators,
            adversarial_ab=adversarial_ab,
            adversarial_ba=adversarial_ba,
            cycle_a=cycle_a,
            cycle_b=cycle_b,
            identity_a=identity_a,
            identity_b=identity_b,
            discriminator_a=discriminator_a,
            discriminator_b=discriminator_b,
            **further,
        )

    def generate(self, real_a: Tensor, real_b: Tensor, weights: Mapping[str, float]) -> GeneratorOutputs:
        """Steps 1 to 3. Each generator translates and keeps identity in one pass over both real images.

        1. fake_b = generator_ab(real_a), cycled_a = generator_ba(fake_b)
        2. fake_a = generator_ba(real_b), cycled_b = generator_ab(fake_a)
        3. identity_b = generator_ab(real_b), identity_a = generator_ba(real_a)

        With instance normalization samples do not see their batch neighbours: one concatenated pass gives the same
        numbers as two passes, with fewer and larger kernels. What no loss asks for is not made: the real image stands
        in its place.
        """
        generator_ab, generator_ba = (
            partial(self.run_generator, one) for one in (self.generator_ab, self.generator_ba)
        )
        if weights["identity"] or weights["nce"]:
            fake_b, identity_b = generator_ab(torch.cat([real_a, real_b])).chunk(2)
            fake_a, identity_a = generator_ba(torch.cat([real_b, real_a])).chunk(2)
        else:
            fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
            identity_b, identity_a = real_b, real_a
        if weights["cycle"]:
            cycled_a = generator_ba(self.with_noise(fake_b))
            cycled_b = generator_ab(self.with_noise(fake_a))
        else:
            cycled_a, cycled_b = real_a, real_b
        return GeneratorOutputs(fake_b, cycled_a, fake_a, cycled_b, identity_b, identity_a)

    def run_generator(self, generator: nn.Module, image: Tensor) -> Tensor:
        """One pass, (B, C, H, W) to the same; with ``recompute`` its activations are not kept for the gradients."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(generator, image, use_reentrant=False)
        return generator(image)

    def with_noise(self, fake: Tensor) -> Tensor:
        """A fake as it sets out on the way back, (B, C, H, W)."""
        return fake + self.cycle_noise * torch.randn_like(fake) if self.cycle_noise else fake

    def judge(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Step 8 for one discriminator: its loss on real images and detached fakes, each (B, C, H, W).

        In one pass where the discriminator judges each image alone, as with instance normalization: the numbers of two,
        with fewer and larger kernels. A discriminator that looks at how much its batch varies must not mix the two.
        """
        fake = fake.to(real)
        if getattr(discriminator, "batch_independent", False):
            real_logits, fake_logits = discriminator(torch.cat([real, fake])).chunk(2)
        else:
            real_logits, fake_logits = discriminator(real), discriminator(fake)
        return discriminator_adversarial_loss(real_logits, fake_logits, self.adversarial_loss)

    def penalty(self, real_a: Tensor, real_b: Tensor, generated: GeneratorOutputs) -> Tensor:
        """Step 8, the gradient penalty of both discriminators, with the weight of the batches that go without it."""
        assert self.gradient_penalty is not None
        with eager(self.compiled):  # what is compiled has no second derivative
            of_a = gradient_penalty(self.discriminator_a, real_a, generated.fake_a.detach(), self.gradient_penalty)
            of_b = gradient_penalty(self.discriminator_b, real_b, generated.fake_b.detach(), self.gradient_penalty)
        return self.lambda_gradient_penalty * self.gradient_penalty_every * (of_a + of_b)

    def update(self, optimizer: Any, loss: Tensor, batch_index: int) -> bool:
        """Step 9 for one side: gradients of its loss, then its weights at the end of a group of batches.

        Returns:
            Whether the weights moved.
        """
        if self.optimization.starts_group(batch_index):
            optimizer.zero_grad()
        # A loss that is not finite makes all its gradients so, in each of several processes: its own may be 0.
        self.manual_backward(loss * (0 * loss.detach() + 1) / self.optimization.accumulate_batches)
        moves = self.optimization.ends_group(batch_index) or self.trainer.is_last_batch
        if moves:
            optimizer.step()
        return moves

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip or refuse the gradients: here they are whole, and unscaled where precision is half."""
        skipped = self.optimization.prepare_gradients(optimizer)
        if skipped is not None:
            side = "generators" if optimizer is self.trainer.optimizers[0] else "discriminators"
            self.skipped_steps.add(Step(self.current_epoch, self.trainer.fit_loop.batch_idx, side), skipped)

    def average(self) -> None:
        """Let the moving averages follow their generators."""
        if self.ema_ab is not None and self.ema_ba is not None:
            self.ema_ab.update(self.generator_ab)
            self.ema_ba.update(self.generator_ba)

    def log_losses(self, **losses: Tensor) -> None:
        """Log each loss in some batches, and its mean in the epoch's last one, without waiting for the device.

        Logging takes Lightning's time: in every batch it would be a tenth of a short step. Rows of single batches go to
        the loggers at once, so that none is missing when a checkpoint after the batch is where a training goes on.
        """
        self.latest_losses = {name: value.detach() for name, value in losses.items()}
        self.loss_means.add(self.latest_losses)
        num_batches = self.trainer.fit_loop.epoch_loop.total_batch_idx + 1
        is_due = num_batches % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if is_due or self.loss_means.num_batches == 1:
            for name in IN_PROGRESS_BAR:
                value = self.latest_losses[name]
                self.log(f"loss/{name}", value, on_step=True, on_epoch=False, prog_bar=True, logger=False, batch_size=1)
        if is_due:
            row: dict[str, Any] = {f"loss/{name}_step": value for name, value in self.latest_losses.items()}
            for logger in self.trainer.loggers:
                logger.log_metrics(row | {"epoch": self.current_epoch}, step=num_batches - 1)
        if self.trainer.is_last_batch:
            for name, value in self.loss_means.take().items():
                # Of several processes the mean.
                self.log(f"loss/{name}_epoch", value, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)

    @property
    def fused(self) -> bool:
        """Whether Adam is one kernel; with float16 it is not, see :meth:`Optimization.adam`."""
        return self.trainer.precision != "16-mixed"

    @property
    def schedule(self) -> Callable[[int], float]:
        """Epoch to the factor on both learning rates."""
        settings = self.optimization
        return constant_then_falling(self.trainer.max_epochs or 0, settings.constant_share, settings.schedule)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Adam for all that helps the generators, Adam for the discriminators, each with the schedule of its rate."""
        sides = (self.generator_ab, self.generator_ba, self.further), (self.discriminator_a, self.discriminator_b)
        rates = self.optimization.learning_rates
        optimizers = [self.optimization.adam(side, rate, self.fused) for side, rate in zip(sides, rates, strict=True)]
        names = ("learning_rate/generators", "learning_rate/discriminators")
        return optimizers, [
            {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule), "name": name}
            for optimizer, name in zip(optimizers, names, strict=True)
        ]

    def on_train_epoch_end(self) -> None:
        """Step the schedules, once an epoch: under manual optimization nobody else does."""
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()  # type: ignore[call-arg]

    def on_validation_epoch_start(self) -> None:
        """Start the paired metrics of both directions."""
        num_cases = len(self.trainer.datamodule.val_pairs)  # type: ignore[attr-defined]
        self.metrics = {direction: PairedMetrics(num_cases).to(self.device) for direction in DIRECTIONS}

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Measure both directions on paired slices, see :class:`mri_cyclegan.data.datasets.PairedSlices`."""
        for direction in DIRECTIONS:
            source, target = batch[direction[0]], batch[direction[1]]
            self.metrics[direction].update(
                self.translate(source, direction), target, batch[f"foreground_{direction[1]}"], batch["case"]
            )

    def on_validation_epoch_end(self) -> None:
        """Log the mean over subjects of each direction, and of both as ``val/psnr`` and ``val/ssim``."""
        means = {
            direction: {key: value.nanmean() for key, value in m.compute().items()}
            for direction, m in self.metrics.items()
        }
        for metric in ("psnr", "ssim"):
            for direction in means:
                self.log(f"val/{metric}_{direction}", means[direction][metric].float())
            self.log(
                f"val/{metric}",
                torch.stack([means[direction][metric] for direction in means]).mean().float(),
                prog_bar=True,
            )


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Within it, the networks' weights get no gradient; gradients still pass through to their inputs."""
    parameters: Sequence[nn.Parameter] = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _require(key: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        names = ", ".join("null" if name is None else name for name in known)
        raise ValueError(f"model.{key}: expected one of {names}, got {value!r}.")
