"""CycleGAN as a LightningModule."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from mri_cyclegan.evaluation.validation.metrics import PairedMetrics
from mri_cyclegan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
)
from mri_cyclegan.losses.cycle import cycle_loss, identity_loss
from mri_cyclegan.stacks import centre_slice
from mri_cyclegan.training.ema import AveragedNetwork
from mri_cyclegan.training.image_pool import ImagePool
from mri_cyclegan.training.lr_schedule import constant_then_linear


class Generated(NamedTuple):
    """Everything the generators make of one batch; each (B, C, H, W), in [-1, 1]."""

    fake_b: Tensor
    cycled_a: Tensor
    fake_a: Tensor
    cycled_b: Tensor
    identity_b: Tensor
    identity_a: Tensor


class CycleGAN(pl.LightningModule):
    """Two generators and two discriminators, trained in the nine steps of the method's document.

    Contrast a is T1w and b T2w by default; ``generator_ab`` maps a to b, ``discriminator_b`` judges images of b.
    An image is a slice, or a stack of neighbouring slices as channels, C = 2k + 1; see :mod:`mri_cyclegan.stacks`.

    Args:
        generator_ab: (B, C, H, W) in [-1, 1] to the same.
        generator_ba: likewise, another network.
        discriminator_a: (B, C, H, W) to patch logits.
        discriminator_b: likewise, another network.
        adversarial_loss: ``"lsgan"``, ``"bce"`` or ``"hinge"``.
        lambda_cycle: weight of the cycle-consistency losses.
        lambda_identity: weight of the identity losses; 0 leaves their passes out.
        learning_rate_generators: of Adam.
        learning_rate_discriminators: of Adam.
        beta1: decay of Adam's mean of gradients.
        constant_share: share of the epochs before the learning rate falls, see
            :func:`mri_cyclegan.training.lr_schedule.constant_then_linear`.
        pool_size: generated images kept for each discriminator.
        ema_decay: of the generators' moving average, which validates, draws samples and is saved; None for none.

    Reference:
        Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017.
    """

    def __init__(
        self,
        generator_ab: nn.Module,
        generator_ba: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        adversarial_loss: str,
        lambda_cycle: float,
        lambda_identity: float,
        learning_rate_generators: float,
        learning_rate_discriminators: float,
        beta1: float,
        constant_share: float,
        pool_size: int,
        ema_decay: float | None,
    ) -> None:
        super().__init__()
        if adversarial_loss not in ADVERSARIAL_LOSSES:
            raise ValueError(
                f"model.adversarial_loss: expected one of {', '.join(ADVERSARIAL_LOSSES)}, got {adversarial_loss!r}."
            )
        self.automatic_optimization = False
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.adversarial_loss = adversarial_loss
        self.lambda_cycle, self.lambda_identity = lambda_cycle, lambda_identity
        self.learning_rates = (learning_rate_generators, learning_rate_discriminators)
        self.beta1 = beta1
        self.constant_share = constant_share
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.ema_ab = None if ema_decay is None else AveragedNetwork(generator_ab, ema_decay)
        self.ema_ba = None if ema_decay is None else AveragedNetwork(generator_ba, ema_decay)
        self.latest: Generated | None = None

    @property
    def translator_ab(self) -> nn.Module:
        """What turns a into b for use: the averaged generator, or the generator itself without averaging."""
        return self.generator_ab if self.ema_ab is None else self.ema_ab.network

    @property
    def translator_ba(self) -> nn.Module:
        """What turns b into a for use."""
        return self.generator_ba if self.ema_ba is None else self.ema_ba.network

    def translate(self, image: Tensor, way: str) -> Tensor:
        """Translate slices for use.

        Args:
            image: (B, C, H, W), in [-1, 1].
            way: ``"ab"`` or ``"ba"``.

        Returns:
            (B, 1, H, W), in [-1, 1]: of a stack the centre slice.
        """
        return centre_slice(self.translate_stack(image, way))

    @torch.inference_mode()
    def translate_stack(self, image: Tensor, way: str) -> Tensor:
        """As :meth:`translate`, all slices of a stack: what the way back needs.

        In evaluation mode, whatever the module's own mode is.
        """
        network = self.translator_ab if way == "ab" else self.translator_ba
        was_training = network.training
        network.eval()
        fake = network(image)
        network.train(was_training)
        return fake

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """The nine steps, in order, on one batch of unpaired slices ``a`` and ``b``, each (B, C, H, W)."""
        real_a, real_b = batch["a"], batch["b"]

        with frozen(self.discriminator_a, self.discriminator_b):
            # Steps 1, 2 and 3: there and back from a, there and back from b, identity.
            generated = self.generate(real_a, real_b)
            # Step 4: the discriminators judge the fakes, for the generators' sake.
            judged_b = self.discriminator_b(generated.fake_b)
            judged_a = self.discriminator_a(generated.fake_a)

        # Step 5: adversarial loss of each generator.
        adversarial_ab = generator_adversarial_loss(judged_b, self.adversarial_loss)
        adversarial_ba = generator_adversarial_loss(judged_a, self.adversarial_loss)

        # Step 6: cycle consistency.
        cycle_a = cycle_loss(generated.cycled_a, real_a)
        cycle_b = cycle_loss(generated.cycled_b, real_b)

        # Step 7: total loss of the generators.
        identity_b = identity_loss(generated.identity_b, real_b)
        identity_a = identity_loss(generated.identity_a, real_a)
        generators = (
            adversarial_ab
            + adversarial_ba
            + self.lambda_cycle * (cycle_a + cycle_b)
            + self.lambda_identity * (identity_a + identity_b)
        )

        # Step 8: the discriminators judge real images and fakes from the pools, for their own sake.
        discriminator_a = self.judge(self.discriminator_a, real_a, self.pool_a.query(generated.fake_a.detach()))
        discriminator_b = self.judge(self.discriminator_b, real_b, self.pool_b.query(generated.fake_b.detach()))

        # Step 9: gradients and weights. The two graphs share no weights, so one pair may follow the other.
        optimizer_generators, optimizer_discriminators = self.optimizers()  # type: ignore[misc, attr-defined]
        self.update(optimizer_generators, generators)
        self.update(optimizer_discriminators, discriminator_a + discriminator_b)
        if self.ema_ab is not None and self.ema_ba is not None:
            self.ema_ab.update(self.generator_ab)
            self.ema_ba.update(self.generator_ba)

        self.latest = Generated(*(image.detach() for image in generated))
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
        )

    def generate(self, real_a: Tensor, real_b: Tensor) -> Generated:
        """Steps 1 to 3. Each generator translates and keeps identity in one pass over both real images.

        1. fake_b = generator_ab(real_a), cycled_a = generator_ba(fake_b)
        2. fake_a = generator_ba(real_b), cycled_b = generator_ab(fake_a)
        3. identity_b = generator_ab(real_b), identity_a = generator_ba(real_a)

        With instance normalization samples do not see their batch neighbours: one concatenated pass gives the same
        numbers as two passes, with fewer and larger kernels.
        """
        if self.lambda_identity == 0:
            fake_b, fake_a = self.generator_ab(real_a), self.generator_ba(real_b)
            identity_b, identity_a = real_b, real_a
        else:
            fake_b, identity_b = self.generator_ab(torch.cat([real_a, real_b])).chunk(2)
            fake_a, identity_a = self.generator_ba(torch.cat([real_b, real_a])).chunk(2)
        cycled_a = self.generator_ba(fake_b)
        cycled_b = self.generator_ab(fake_a)
        return Generated(fake_b, cycled_a, fake_a, cycled_b, identity_b, identity_a)

    def judge(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Step 8 for one discriminator: its loss on real images and detached fakes, each (B, C, H, W).

        In passes of their own: a discriminator may look at how much its batch varies, and so must not mix the two.
        """
        real_logits, fake_logits = discriminator(real), discriminator(fake.to(real))
        return discriminator_adversarial_loss(real_logits, fake_logits, self.adversarial_loss)

    def update(self, optimizer: Any, loss: Tensor) -> None:
        """Step 9 for one side: gradients of its loss, then its weights."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def log_losses(self, **losses: Tensor) -> None:
        """Log each loss per step and as the epoch's mean, without waiting for the device."""
        for name, value in losses.items():
            in_bar = name in ("generators", "discriminator_a", "discriminator_b")
            self.log(f"loss/{name}", value.detach(), on_step=True, on_epoch=True, prog_bar=in_bar, batch_size=1)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Adam for both generators, Adam for both discriminators, each with the learning-rate schedule."""
        schedule = constant_then_linear(self.trainer.max_epochs or 0, self.constant_share)
        sides = ((self.generator_ab, self.generator_ba), (self.discriminator_a, self.discriminator_b))
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(
                [parameter for network in side for parameter in network.parameters()],
                lr=learning_rate,
                betas=(self.beta1, 0.999),
            )
            for side, learning_rate in zip(sides, self.learning_rates, strict=True)
        ]
        names = ("learning_rate/generators", "learning_rate/discriminators")
        return optimizers, [
            {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, schedule), "name": name}
            for optimizer, name in zip(optimizers, names, strict=True)
        ]

    def on_train_epoch_end(self) -> None:
        """Step the schedules, once an epoch: under manual optimization nobody else does."""
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()  # type: ignore[call-arg]

    def on_validation_epoch_start(self) -> None:
        """Start the paired metrics of both directions."""
        num_cases = len(self.trainer.datamodule.val_pairs)  # type: ignore[attr-defined]
        self.metrics = {way: PairedMetrics(num_cases).to(self.device) for way in ("ab", "ba")}

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Measure both directions on paired slices, see :class:`mri_cyclegan.data.datasets.PairedSlices`."""
        for way in ("ab", "ba"):
            source, target = batch[way[0]], batch[way[1]]
            self.metrics[way].update(self.translate(source, way), target, batch[f"foreground_{way[1]}"], batch["case"])

    def on_validation_epoch_end(self) -> None:
        """Log the mean over subjects of each direction, and of both as ``val/psnr`` and ``val/ssim``."""
        means = {way: {key: value.nanmean() for key, value in m.compute().items()} for way, m in self.metrics.items()}
        for metric in ("psnr", "ssim"):
            for way in means:
                self.log(f"val/{metric}_{way}", means[way][metric].float())
            self.log(f"val/{metric}", torch.stack([means[way][metric] for way in means]).mean().float(), prog_bar=True)


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
