"""Losses that compare the anatomy of a translated image with that of its source, across contrasts."""

from torch import Tensor

from mri_cyclegan.losses.gradient_correlation import gradient_correlation_loss
from mri_cyclegan.losses.mind import mind_loss
from mri_cyclegan.losses.mutual_information import local_mutual_information_loss, mutual_information_loss
from mri_cyclegan.losses.precision import full_precision

_LOSSES = {
    "mind": mind_loss,
    "gradient_correlation": gradient_correlation_loss,
    "mutual_information": mutual_information_loss,
    "local_mutual_information": local_mutual_information_loss,
}
STRUCTURE_LOSSES = tuple(_LOSSES)


@full_precision
def structure_loss(fake: Tensor, source: Tensor, kind: str) -> Tensor:
    """How far the anatomy of a translated image is from that of its source.

    Cycle consistency alone does not keep a generator from moving anatomy, as long as the other moves it back.

    Args:
        fake: ``generator(source)``, (B, C, H, W), in [-1, 1]; C neighbouring slices are compared one by one.
        source: (B, C, H, W), in [-1, 1], of another contrast.
        kind: ``"mind"``: each pixel's likeness to its neighbours, see :mod:`mri_cyclegan.losses.mind`;
            ``"gradient_correlation"``: place, direction and presence of edges, whatever their sign, see
            :mod:`mri_cyclegan.losses.gradient_correlation`; ``"mutual_information"``: how well the intensities of
            one tell those of the other, over a slice, and ``"local_mutual_information"``, over patches of it, see
            :mod:`mri_cyclegan.losses.mutual_information`.

    Returns:
        Scalar, about 1 at most, lower is better; about 0 for the same anatomy. ``"mind"`` and
        ``"gradient_correlation"`` are never below 0.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    if kind not in _LOSSES:
        raise ValueError(f"extra_loss.structure.kind: expected one of {', '.join(STRUCTURE_LOSSES)}, got {kind!r}.")
    return _LOSSES[kind](fake.flatten(0, 1)[:, None], source.flatten(0, 1)[:, None])
