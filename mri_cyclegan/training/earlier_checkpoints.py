"""Upgrades of checkpoints of earlier versions to the current names and layout."""

from typing import Any

PREFIXES = {
    "further.registration_a.": "extra_losses.paired.registration_a.",
    "further.registration_b.": "extra_losses.paired.registration_b.",
    "further.nce_ab.": "extra_losses.nce.ab.",
    "further.nce_ba.": "extra_losses.nce.ba.",
}


def upgrade_weights(module: Any, state_dict: dict[str, Any], *_: Any) -> None:
    """Rename weights to their current names, in place; a hook for ``register_load_state_dict_pre_hook``.

    Args:
        module: module that loads the weights.
        state_dict: of a CycleGAN.
    """
    for name in list(state_dict):
        for earlier, present in PREFIXES.items():
            if name.startswith(earlier):
                state_dict[present + name.removeprefix(earlier)] = state_dict.pop(name)


def upgrade_rank_states(checkpoint: dict[str, Any]) -> None:
    """Move the state of each rank to where :class:`mri_cyclegan.training.callbacks.rank_states.RankStates` reads it.

    Args:
        checkpoint: changed in place; unchanged if it is of the current version.
    """
    randoms = checkpoint.get("callbacks", {}).pop("RandomStates", {}).get("of_ranks", [])
    others = checkpoint.pop("of_ranks", [])
    if "rank_states" in checkpoint:
        return
    states: list[dict[str, Any]] = [{} for _ in range(max(len(randoms), len(others)))]
    for state, random in zip(states, randoms, strict=False):
        state["random"] = random
    for state, other in zip(states, others, strict=False):
        pools = {name.removesuffix(".images"): images for name, images in other["pools"].items()}
        state.update(loss_means=other["loss_means"], pools=pools)
    checkpoint["rank_states"] = states
