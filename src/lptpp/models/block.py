"""One frozen transformer block with prompts and an adapter (docs/method.md).

The published form concatenates the prompts to the tokens, runs the block, and discards the prompt outputs. Nothing
reads those outputs, so prompts act only as keys and values; computing just that gives the same result.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lptpp.backbones.families import TokenPositions
from lptpp.models.attention import attend

NOWHERE = TokenPositions()


def adapted_block(
    block: Any,
    x: torch.Tensor,
    prompts: Sequence[torch.Tensor] = (),
    adapter: nn.Module | None = None,
    keep: int | None = None,
    position: TokenPositions = NOWHERE,
) -> torch.Tensor:
    """Return the tokens (B, N, D) after one block, or only the first `keep` of them if nothing reads the others.

    `block` is one of `lptpp.backbones.supported.BLOCKS`. Each of the `prompts` is (1, P, D), shared by the batch, or
    (B, P, D), one for each image.
    """
    hidden = _cast(block.norm1(x))
    attended = attend(block.attn, hidden, [_cast(block.norm1(prompt)) for prompt in prompts], keep, position)
    x = x[:, :keep] + _scaled(block, 1, attended)
    hidden = _cast(block.norm2(x))
    added = _scaled(block, 2, block.mlp(hidden))
    return x + added if adapter is None else x + added + adapter(hidden)


def _scaled(block: Any, branch: int, x: torch.Tensor) -> torch.Tensor:
    """Apply the LayerScale of branch 1 (attention) or 2 (MLP): a module, in EVA and BEiT a vector or None."""
    if hasattr(block, f"ls{branch}"):
        return getattr(block, f"ls{branch}")(x)
    gamma = getattr(block, f"gamma_{branch}")
    return x if gamma is None else gamma * x


def _cast(tokens: torch.Tensor) -> torch.Tensor:
    """Cast the tokens to the precision of autocast once; autocast would cast them for every product that reads them."""
    device = tokens.device.type
    return tokens.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tokens
