"""Starting a training from a trained model, with other scans or other losses."""

from collections.abc import Sequence
from typing import Any

from mri_cyclegan.inference.model import load_model
from mri_cyclegan.slice_stack import CenterSliceNetwork


def load_initial_weights(model: Any, folder: str, contrasts: Sequence[str]) -> None:
    """Load a trained model's weights into the generators and their moving averages; discriminators start from scratch.

    Args:
        model: a :class:`mri_cyclegan.training.cyclegan.CycleGAN`.
        folder: a finished run, or its ``model/`` folder.
        contrasts: contrasts a and b of this training.

    Raises:
        ValueError: the model does not exist, or it has other contrasts or other generators.
    """
    trained = load_model(folder)
    if trained.contrasts != tuple(contrasts):
        raise ValueError(
            f"initial_model: {folder} translates {trained.contrasts[0]} and {trained.contrasts[1]}, this training "
            f"{contrasts[0]} and {contrasts[1]}. Give a model of the same contrasts, in the same order."
        )
    averages = {"ab": model.ema_ab, "ba": model.ema_ba}
    for direction, generator in (("ab", model.generator_ab), ("ba", model.generator_ba)):
        network: Any = trained.networks[direction]
        weights = (network.network if isinstance(network, CenterSliceNetwork) else network).state_dict()
        try:
            generator.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"initial_model: generator_{direction} of {folder} is another network than this training's. Give the "
                f"generator and data.num_adjacent_slices that it was trained with; {folder}/config.yaml has them."
            ) from error
        if averages[direction] is not None:
            averages[direction].network.load_state_dict(weights)
