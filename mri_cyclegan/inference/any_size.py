"""Images of any size through a network."""

from collections.abc import Callable

from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn import functional

BACKGROUND = -1.0

# Instance normalization sees how much of an image is background. The demo's outputs for fields of view of 1.5, 2 and 3
# times the sides of the images in training have a PSNR 0.1, 0.7 and 2.2 dB below that for 1.25 times, which just hold
# the head (8 translations); in tiles of 1.5 times, 0.0 dB below.
LARGEST_SHARE = 1.5

# Of neighbouring tiles, whose outputs are blended by Gaussian weights.
OVERLAP = 0.5


class AnySize(nn.Module):
    """A network that takes images of any size: they are padded evenly with background, and outputs cut back.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        multiple: that both sides of its input must be multiples of.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, 1, H, W)."""
        height, width = image.shape[-2:]
        bottom, right = (_round_up(side, self.multiple) - side for side in (height, width))
        top, left = bottom // 2, right // 2
        padded = functional.pad(image, (left, right - left, top, bottom - top), value=BACKGROUND)
        return self.network(padded)[..., top : top + height, left : left + width]


class Tiles:
    """A network that sees no larger images than it can judge: what is larger passes in overlapping tiles.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        multiple: that both sides of its input must be multiples of.
        largest: sides of the largest images.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], multiple: int, largest: int) -> None:
        self.network = network
        self.largest = largest // multiple * multiple

    def __call__(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1], its sides multiples, to (B, 1, H, W)."""
        tile = self.tile(*image.shape[-2:])
        if tile == tuple(image.shape[-2:]):
            return self.network(image)
        return sliding_window_inference(image, tile, len(image), self.network, overlap=OVERLAP, mode="gaussian")

    def tile(self, height: int, width: int) -> tuple[int, int]:
        """What the network sees at a time of an image of these sides."""
        return min(height, self.largest), min(width, self.largest)


def for_any_size(network: Callable[[Tensor], Tensor], image_size: int) -> AnySize:
    """A network as translation uses it: for the whole field of view of any scan.

    A network whose ``depends_on_size`` is true gets tiles of the size of its training; others see images up to
    :data:`LARGEST_SHARE` times as large. Without ``size_multiple`` it takes any size.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        image_size: sides of the images it was trained on.
    """
    multiple = getattr(network, "size_multiple", 1)
    share = 1.0 if getattr(network, "depends_on_size", False) else LARGEST_SHARE
    return AnySize(Tiles(network, multiple, int(share * image_size)), multiple)


def _round_up(side: int, multiple: int) -> int:
    return (side + multiple - 1) // multiple * multiple
