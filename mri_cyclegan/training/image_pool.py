"""History of generated images for the discriminators."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Gives a discriminator old fakes half of the time, so that it does not forget earlier states of the generators.

    While the pool is filling, every fake is stored and returned unchanged. Once full, each fake is, with probability
    one half, swapped with a random stored one; otherwise it is returned and not stored.

    The images are a buffer, so they are saved in checkpoints and move with the module. Non-finite values are stored as
    0 (gray): otherwise they would come back long after their own step was skipped.

    Args:
        size: number of images kept; with 0, every fake is returned unchanged.

    Reference:
        Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training",
        CVPR 2017, section 2.3; Zhu et al., ICCV 2017, section 4 (50 images, one at a time).
    """

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"model.pool_size: expected 0 or more, got {size}.")
        self.size = size
        self.register_buffer("images", torch.empty(0))

    def query(self, fakes: Tensor) -> Tensor:
        """Store fakes and return a batch of the same size, each image either new or from the pool.

        Args:
            fakes: detached generator output, (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        if self.size == 0:
            return fakes
        # _query_one draws on the host, so that the choice needs no synchronization with the device.
        return torch.stack([self._query_one(fake) for fake in fakes.unbind()])

    def _query_one(self, fake: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images = torch.cat([self.images.to(fake).reshape(-1, *fake.shape), _finite(fake)[None]])
            return fake
        if torch.rand(()) < 0.5:
            return fake
        position = int(torch.randint(self.size, ()))
        old = self.images[position].clone()
        self.images[position] = _finite(fake)
        return old

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        # A saved pool may have any length: take its shape before torch compares shapes.
        stored = state_dict.get(prefix + "images")
        if stored is not None:
            self.images = self.images.new_empty(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)  # type: ignore[arg-type]


def _finite(image: Tensor) -> Tensor:
    return image.nan_to_num(nan=0, posinf=0, neginf=0)
