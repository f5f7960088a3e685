"""Spectral normalization of a whole network."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def normalize_spectra(network: nn.Module) -> None:
    """Divide every convolution's weight by its largest singular value from now on, in place.

    The weight counts as a matrix of output channels by all else. Each training pass refines the value by one power
    iteration. Call it after the weights have been drawn.

    Reference:
        Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018, algorithm 1.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
