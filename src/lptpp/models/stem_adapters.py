"""Bottleneck convolutions after the blocks of a frozen convolutional stem, like the adapters of the transformer.

Residual adapters of 1×1 convolutions in series (Rebuffi et al. 2017, arXiv 1705.08045) with the bottleneck of
AdaptFormer. They are not part of the LPT++ paper, whose towers have no convolutional stem.
"""

from typing import Any

import torch
from torch import nn

from lptpp.backbones.hybrid import StemEmbed
from lptpp.utils.errors import UserError


class StemAdapter(nn.Module):
    """x + up(relu(down(x))) at each place of a feature map (B, S, h, w). Each adapter starts as a no-op."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, bottleneck, 1)
        self.up = nn.Conv2d(bottleneck, channels, 1)
        nn.init.zeros_(self.down.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (B, S, h, w) to the same shape."""
        return maps + self.up(torch.relu(self.down(maps)))


def stem_adapters(tower: Any, bottleneck: int) -> nn.ModuleList:
    """Return an adapter for each block of the convolutional stem of a tower.

    Raises:
        UserError: the tower has no convolutional stem.
    """
    embed = getattr(tower, "patch_embed", None)
    if not isinstance(embed, StemEmbed):
        raise UserError(
            f"stem_adapter_width={bottleneck}: the backbone has no convolutional stem like those of the bundled towers."
            " Set it to 0; adapter_width is the width of the other adapters."
        )
    return nn.ModuleList(StemAdapter(channels, bottleneck) for channels in embed.block_channels())
