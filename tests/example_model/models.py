"""Tiny models with everything a trained one has."""

import torch

from mri_cyclegan.inference.model import save_model
from mri_cyclegan.networks.registry import GENERATORS

ARGUMENTS = dict(
    in_channels=1,
    out_channels=1,
    base_channels=2,
    depth=2,
    dropout=0.0,
    upsample="transposed",
    full_resolution_skip=True,
    residual=False,
)
APPEARANCE = {
    "num_scans": 3,
    "histogram": [1 / 256] * 256,
    "histogram_distance": 0.1,
    "ranges": {"foreground_ml": [1000, 1500], "mean": [0.3, 0.4], "sd": [0.1, 0.2], "roughness": [0.01, 0.02]},
}
SCANS = {
    "num_subjects": 3,
    "voxel_sizes_mm": [[1.0, 1.0], [1.0, 1.0], [1.0, 3.0]],
    "intensity_low": 20.0,
    "intensity_high": 420.0,
    "appearance": APPEARANCE,
}
DESCRIPTION = {
    "code_version": "0.1.0",
    "contrasts": {"a": "T1w", "b": "T2w"},
    "preprocessing": {"plane": "axial", "spacing_mm": 1.0, "image_size": 8, "num_adjacent_slices": 0},
    "training": {
        "experiment": "toy",
        "seed": 0,
        "num_epochs": 2,
        "weights": "last epoch",
        "layout": "bids",
        "a": SCANS,
        "b": SCANS | {"intensity_low": 30.0, "intensity_high": 1030.0},
    },
}


def make_model(folder, arguments=None, description=None, seed=0, name="UNet", **preprocessing):
    """Write a model of random weights; returns its networks."""
    torch.manual_seed(seed)
    arguments = (ARGUMENTS if name == "UNet" else {}) | (arguments or {})
    generators = {direction: GENERATORS[name](**arguments) for direction in ("ab", "ba")}
    architectures = {direction: {"name": name, "arguments": arguments} for direction in generators}
    content = DESCRIPTION | (description or {})
    content = content | {"preprocessing": content["preprocessing"] | preprocessing}
    save_model(folder, generators, architectures, content)
    return generators
