"""A synthetic head in two contrasts, most of whose borders change their sign."""

import torch
from torch import Tensor

# Scalp, skull, cerebrospinal fluid, gray matter, white matter, ventricles.
CONTRASTS = {"T1w": (0.8, -0.85, -0.6, 0.0, 0.5, -0.6), "T2w": (0.3, -0.85, 0.9, 0.2, -0.2, 0.9)}


def head(contrast: str, right: float | Tensor = 0.0, side: int = 48, swell: float = 0.0) -> Tensor:
    """(1, 1, side, side) float64 in [-1, 1], differentiable in ``right``, a shift in pixels; air is -1.

    ``swell`` moves the border of the white matter outwards, in pixels.
    """
    rows, columns = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij")
    y, x = rows - (side - 1) / 2, columns - (side - 1) / 2 - right
    radius, angle = torch.hypot(1.1 * x, y) + 1e-9, torch.atan2(y, x)
    unit = side / 48
    folds = unit * 1.5 * torch.cos(7 * angle)
    ventricles = torch.minimum(torch.hypot(x - 4 * unit, 0.5 * y), torch.hypot(x + 3 * unit, 0.6 * (y - 2)))
    distances = [
        radius - 22 * unit,
        radius - 20 * unit,
        radius - 18 * unit,
        radius - 16 * unit - folds,
        radius - 12 * unit - folds - swell,
        ventricles - 2.5 * unit,
    ]
    image = torch.full_like(x, -1.0)
    for value, distance in zip(CONTRASTS[contrast], distances):
        inside = torch.sigmoid(-2 * distance)
        image = image + inside * (value - image)
    return image[None, None]
