"""U-Net generator whose innermost level is a transformer, as in UVCGAN."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mri_cyclegan.networks.blocks import init_normal, require_sides


class TransformerUNet(nn.Module):
    """U-Net of plain convolution blocks whose innermost level is a transformer: all pixels attend to each other.

    Attention gives a pixel its position in the head and wide context, which convolutions of a few levels do not cover.
    The transformer branch is scaled by a weight that starts at 0, so that training starts with a plain U-Net.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        base_channels: channels at full resolution; they double at every level.
        depth: number of halvings; both sides of the input must be multiples of ``2 ** depth``, and larger than it.
        num_blocks: number of transformer blocks.
        embedding: size of a pixel's token in the transformer.
        num_heads: number of attention heads; divides ``embedding``.

    Attributes:
        size_multiple: both sides of the input must be multiples of it.
        feature_channels: number of channels of each output of :meth:`features`.

    Raises:
        ValueError: an argument is out of range, or an input's sides do not fit the depth.

    Reference:
        Torbunov et al., "UVCGAN: UNet vision transformer cycle-consistent GAN for unpaired image-to-image translation",
        WACV 2023, section 3.2: base_channels 48, depth 4, num_blocks 12, embedding 384, num_heads 6.
    """

    depends_on_size = True  # positions are encoded relative to the image's sides

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        base_channels: int = 48,
        depth: int = 4,
        num_blocks: int = 12,
        embedding: int = 384,
        num_heads: int = 6,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"generator.depth: expected at least 1, got {depth}.")
        if num_heads < 1 or embedding % num_heads:
            raise ValueError(f"generator.num_heads={num_heads} does not divide generator.embedding={embedding}.")
        self.size_multiple = 2**depth
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.feature_channels = [in_channels, *widths[:-1]]
        self.entry = nn.Sequential(nn.Conv2d(in_channels, widths[0], 3, padding=1), nn.LeakyReLU(0.2))
        self.encoders = nn.ModuleList(_block(width, width) for width in widths[:-1])
        self.downs = nn.ModuleList(nn.Conv2d(width, 2 * width, 2, stride=2) for width in widths[:-1])
        self.bottleneck = PixelTransformer(widths[-1], num_blocks, embedding, num_heads)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(2 * width, width, 3, padding=1))
            for width in reversed(widths[:-1])
        )
        self.decoders = nn.ModuleList(_block(2 * width, width) for width in reversed(widths[:-1]))
        self.last = nn.Sequential(nn.Conv2d(widths[0], out_channels, 1), nn.Tanh())
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Translate images.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of ``2 ** depth``.

        Returns:
            (B, out_channels, H, W), in [-1, 1].
        """
        require_sides(image, self.size_multiple, "U-Net with transformer")
        x, skips = self._encode(image)
        x = self.bottleneck(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(torch.cat([up(x), skips.pop()], dim=1))
        return self.last(x)

    def features(self, image: Tensor) -> list[Tensor]:
        """Encoder features of images, from fine to coarse; transformer and decoder are not computed.

        Args:
            image: (B, in_channels, H, W), in [-1, 1]; H and W multiples of ``2 ** depth``.

        Returns:
            The image itself, then the output of each encoder level: (B, C, H, W), (B, C, H / 2, W / 2) and so on.
        """
        require_sides(image, self.size_multiple, "features of a U-Net with transformer")
        return [image, *self._encode(image)[1]]

    def _encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Input of the innermost level, and the output of each level above it."""
        x, levels = self.entry(image), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            levels.append(x)
            x = down(x)
        return x, levels


class PixelTransformer(nn.Module):
    """Transformer over the pixels of a feature map, with position encoding; its scaled output is added to the map.

    Args:
        channels: channels of the feature map.
        num_blocks: number of transformer blocks.
        embedding: size of a pixel's token.
        num_heads: number of attention heads.
    """

    def __init__(self, channels: int, num_blocks: int, embedding: int, num_heads: int) -> None:
        super().__init__()
        self.place = nn.Linear(2, embedding)
        self.enter = nn.Linear(channels, embedding)
        self.blocks = nn.ModuleList(TransformerBlock(embedding, num_heads) for _ in range(num_blocks))
        self.leave = nn.Linear(embedding, channels)
        self.share = nn.Parameter(torch.zeros(()))  # scale of the transformer branch, as in ReZero

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        height, width = x.shape[-2:]
        tokens = self.enter(x.flatten(2).transpose(1, 2))
        tokens = tokens + torch.sin(self.place(_coordinates(height, width, x)))
        for block in self.blocks:
            tokens = block(tokens)
        return x + self.share * self.leave(tokens).transpose(1, 2).reshape(x.shape)


class TransformerBlock(nn.Module):
    """Pre-norm transformer block: self-attention and a two-layer MLP, each with a residual connection.

    Not PyTorch's own layer, whose inference path ``torch.export`` restricts to batches of more than one image.

    Args:
        embedding: size of a token.
        num_heads: number of attention heads.

    Reference:
        Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, section 3.1.
    """

    def __init__(self, embedding: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(embedding), nn.LayerNorm(embedding)
        self.queries_keys_values = nn.Linear(embedding, 3 * embedding)
        self.join_heads = nn.Linear(embedding, embedding)
        self.mlp = nn.Sequential(nn.Linear(embedding, 4 * embedding), nn.GELU(), nn.Linear(4 * embedding, embedding))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, embedding) to the same."""
        tokens = tokens + self.join_heads(self._attention(self.norm_attention(tokens)))
        return tokens + self.mlp(self.norm_mlp(tokens))

    def _attention(self, tokens: Tensor) -> Tensor:
        heads = self.queries_keys_values(tokens).unflatten(2, (3, self.num_heads, -1))  # (B, N, 3, heads, features)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        return functional.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)


def _coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Row and column of every pixel, (H · W, 2), from -π to π for any map size, since the head always fills the map."""
    rows, columns = (
        ((torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) / size * 2 - 1) * torch.pi
        for size in (height, width)
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.InstanceNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.InstanceNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.LeakyReLU(0.2),
    )
