"""Run a network on images of any size."""

from collections.abc import Callable

from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn import functional

BACKGROUND = -1.0

# Instance normalization depends on how much of the image is background. In the demo, fields of view of 1.5, 2 and 3
# times the training image size lose 0.1, 0.7 and 2.2 dB of PSNR against 1.25 times, which just holds the head
# (8 translations). Tiles of 1.5 times the size lose 0.0 dB.
MAX_RELATIVE_SIZE = 1.5

# Of neighboring tiles, as a fraction of their size; their outputs are blended with Gaussian weights.
OVERLAP = 0.5


class PadToMultiple(nn.Module):
    """Let a network take images of any size: pad them evenly with background, and crop the output back.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        multiple: height and width of the network's input must be multiples of it.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W) in [-1, 1] to (B, 1, H, W)."""
        height, width = image.shape[-2:]
        bottom, right = (_round_up(side, self.multiple) - side for side in (height, width))
        top, left = bottom // 2, right // 2
        padded = functional.pad(image, (left, right - left, top, bottom - top), value=BACKGROUND)
        return self.network(padded)[..., top : top + height, left : left + width]


class TiledNetwork:
    """Limit the size of the images that a network sees: larger ones are split into overlapping tiles.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        multiple: height and width of the network's input must be multiples of it.
        largest: longest side that the network sees, in pixels; rounded down to a multiple.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], multiple: int, largest: int) -> None:
        self.network = network
        self.largest = largest // multiple * multiple

    def __call__(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W) in [-1, 1] to (B, 1, H, W); H and W are multiples of ``multiple``."""
        tile = self.tile(*image.shape[-2:])
        if tile == tuple(image.shape[-2:]):
            return self.network(image)
        return sliding_window_inference(image, tile, len(image), self.network, overlap=OVERLAP, mode="gaussian")

    def tile(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the tiles for an image of this size."""
        return min(height, self.largest), min(width, self.largest)


def wrap_for_any_size(network: Callable[[Tensor], Tensor], image_size: int) -> PadToMultiple:
    """Wrap a network for translation, so that it takes the whole field of view of any scan.

    A network with a true ``depends_on_size`` gets tiles of its training image size; others see images up to
    :data:`MAX_RELATIVE_SIZE` times as large. A network without ``size_multiple`` takes any height and width.

    Args:
        network: (B, C, H, W) to (B, 1, H, W).
        image_size: height and width of the training images.
    """
    multiple = getattr(network, "size_multiple", 1)
    share = 1.0 if getattr(network, "depends_on_size", False) else MAX_RELATIVE_SIZE
    return PadToMultiple(TiledNetwork(network, multiple, int(share * image_size)), multiple)


def _round_up(side: int, multiple: int) -> int:
    return (side + multiple - 1) // multiple * multiple
