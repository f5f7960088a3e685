"""Spectral normalization of a whole network."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def normalize_spectra(network: nn.Module) -> None:
    """Divide every convolution's weight by its largest singular value from now on, in place.

    The weight is taken as a matrix of output channels × everything else. Each forward pass in training refines the
    singular value by one power iteration. Call this after initializing the weights.

    Reference:
        Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018, algorithm 1.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
