"""CycleGAN experiments for unpaired MRI contrast translation.

>>> from mri_cyclegan import load_model
>>> model = load_model(example_model)
>>> model.translate(example_scan).shape
(20, 24, 16)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mri_cyclegan.inference.model import load_model

    __version__: str

__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> Any:
    """Import heavy modules on first use, so that ``--help`` answers at once."""
    if name == "load_model":
        from mri_cyclegan.inference.model import load_model

        return load_model
    if name == "__version__":
        from importlib.metadata import version

        return version("mri-cyclegan")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
