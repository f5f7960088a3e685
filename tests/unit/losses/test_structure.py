"""What every structure loss promises; each one's own formula has a test file of its own."""

import numpy as np
import pytest
import torch

from mri_cyclegan.losses.structure import STRUCTURE_LOSSES, structure_loss
from tests.unit.losses.two_contrast_head import head

every_kind = pytest.mark.parametrize("kind", STRUCTURE_LOSSES)


@every_kind
def test_best_where_the_other_contrast_is_aligned_and_worse_with_every_shift(kind):
    source = head("T1w")
    losses = [structure_loss(head("T2w", shift), source, kind).item() for shift in (-6, -3, -1, 0, 1, 3, 6)]
    assert (np.diff(losses[:4]) < -0.01).all() and (np.diff(losses[3:]) > 0.01).all()


@every_kind
def test_worse_the_more_one_tissue_grows_or_shrinks(kind):
    source = head("T1w")
    losses = [structure_loss(head("T2w", swell=swell), source, kind).item() for swell in (-3, -2, -1, 0, 1, 2, 3)]
    assert (np.diff(losses[:4]) < -0.005).all() and (np.diff(losses[3:]) > 0.005).all()


@every_kind
def test_gradient_descent_aligns_two_contrasts(kind):
    source, shift = head("T1w"), torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.25)
    for _ in range(20):
        optimizer.zero_grad()
        structure_loss(head("T2w", shift), source, kind).backward()
        optimizer.step()
    assert abs(shift.item()) < 0.5


@every_kind
def test_an_inverted_image_has_the_same_anatomy(kind):
    source = head("T1w")
    assert structure_loss(-source, source, kind).item() == pytest.approx(0, abs=1e-6)


@every_kind
def test_gradient_is_that_of_finite_differences(kind):
    torch.manual_seed(0)
    direction, *noise = torch.randn(3, 1, 1, 33, 33, dtype=torch.float64)  # without noise, kinks where both are flat
    fake, source = (0.8 * head(name, side=33) + 0.02 * noise.pop() for name in ("T2w", "T1w"))
    fake.requires_grad_()
    structure_loss(fake, source, kind).backward()
    with torch.no_grad():
        ahead, behind = (structure_loss(fake + step * direction, source, kind).item() for step in (1e-6, -1e-6))
    slope = (fake.grad * direction).sum().item()
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-4) and abs(slope) > 1e-3


@every_kind
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_constant_images_have_finite_gradients(kind, value):
    flat, image = torch.full((1, 1, 48, 48), value), head("T1w").float()
    for fake, source in ((flat, flat), (flat, image), (image, flat)):
        fake = fake.clone().requires_grad_()
        loss = structure_loss(fake, source, kind)
        loss.backward()
        assert -1e-5 < loss.item() < 1 + 1e-3
        assert fake.grad.abs().max() < 0.1


@every_kind
def test_rounding_in_the_air_does_not_outweigh_anatomy(kind):
    """A generator under bfloat16 leaves air at -1 and at one step above it."""
    torch.manual_seed(0)
    source, fake = head("T1w").float(), head("T2w", 1.0).float()
    air = source < -0.99
    fake = (fake + 2**-8 * air * torch.rand_like(fake).round()).requires_grad_()
    structure_loss(fake, source, kind).backward()
    assert fake.grad[air].abs().sum() < fake.grad[~air].abs().sum()


@every_kind
def test_neighboring_slices_are_compared_one_by_one(kind):
    source = torch.cat([head("T1w"), head("T1w", swell=2.0), head("T1w", 3.0)])
    fake = torch.cat([head("T2w", 1.0), head("T2w"), head("T2w", 3.0)])
    stacked = structure_loss(fake.transpose(0, 1), source.transpose(0, 1), kind)
    assert stacked.item() == pytest.approx(structure_loss(fake, source, kind).item(), rel=1e-9)


@every_kind
def test_mixed_precision_changes_nothing(kind):
    fake, source = head("T2w", 1.0).bfloat16(), head("T1w").bfloat16()
    expected = structure_loss(fake.float(), source.float(), kind)
    with torch.autocast("cpu", torch.bfloat16):
        loss = structure_loss(fake, source, kind)
    assert loss.dtype == torch.float32 and loss.item() == expected.item()


def test_unknown_kind_names_key_and_choices():
    image = torch.zeros(1, 1, 32, 32)
    with pytest.raises(ValueError, match=r"extra_loss\.structure\.kind.*one of mind, gradient_correlation.*'edges'"):
        structure_loss(image, image, "edges")
