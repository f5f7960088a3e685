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
    """Difference between the anatomy of a translated image and that of its source.

    Cycle consistency alone lets a generator move anatomy, as long as the other generator moves it back.

    Args:
        fake: ``generator(source)``, (B, C, H, W), in [-1, 1]; C neighboring slices are compared one by one.
        source: (B, C, H, W), in [-1, 1], of another contrast.
        kind: ``"mind"``: each pixel's similarity to its neighbors, see :mod:`mri_cyclegan.losses.mind`;
            ``"gradient_correlation"``: presence, position and direction of edges, regardless of sign, see
            :mod:`mri_cyclegan.losses.gradient_correlation`; ``"mutual_information"``: how well the intensities of
            one image predict those of the other, over the whole slice, or ``"local_mutual_information"``: within
            patches, see :mod:`mri_cyclegan.losses.mutual_information`.

    Returns:
        Scalar, at most about 1; about 0 for the same anatomy. ``"mind"`` and
        ``"gradient_correlation"`` are never below 0.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    if kind not in _LOSSES:
        raise ValueError(f"extra_loss.structure.kind: expected one of {', '.join(STRUCTURE_LOSSES)}, got {kind!r}.")
    return _LOSSES[kind](fake.flatten(0, 1)[:, None], source.flatten(0, 1)[:, None])
