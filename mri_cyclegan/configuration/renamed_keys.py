"""Configuration keys of earlier versions, and their current names."""

RENAMED = {
    "model.lambda_structure": "extra_loss.structure.weight",
    "model.structure_loss": "extra_loss.structure.kind",
    "model.lambda_nce": "extra_loss.nce.weight",
    "model.nce_num_patches": "extra_loss.nce.num_patches",
    "model.lambda_paired": "extra_loss.paired.weight",
    "model.lambda_smoothness": "extra_loss.paired.smoothness_weight",
    "model.registration_a": "extra_loss.paired.registration_a",
    "model.registration_b": "extra_loss.paired.registration_b",
    "model.fades": "model.decay and extra_loss.NAME.decay",
    "model.fades.cycle": "model.decay.cycle",
    "model.fades.identity": "model.decay.identity",
    "model.fades.structure": "extra_loss.structure.decay",
    "model.fades.nce": "extra_loss.nce.decay",
    "model.fades.paired": "extra_loss.paired.decay",
    "callbacks.divergence.max_in_a_row": "callbacks.divergence.max_consecutive_skips",
    "callbacks.divergence.max_returns": "callbacks.divergence.max_rollbacks",
    "train.peer": "train.reference",
}


def renamed_hint(key: str) -> str:
    """End of a message about an unknown key: its current name if it was renamed, else an empty string.

    >>> renamed_hint("model.fades.cycle")
    ' It is model.decay.cycle now.'
    """
    return f" It is {RENAMED[key]} now." if key in RENAMED else ""
