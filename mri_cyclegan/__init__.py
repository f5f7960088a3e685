"""CycleGAN experiments for unpaired MRI contrast translation.

>>> from mri_cyclegan import load_model
>>> model = load_model(example_model)
>>> model.translate(example_scan).shape
(20, 24, 16)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mri_cyclegan.inference.model import load_model

__all__ = ["load_model"]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first used, so that ``--help`` answers at once."""
    if name == "load_model":
        from mri_cyclegan.inference.model import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
