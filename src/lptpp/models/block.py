"""One frozen transformer block with prompts and an adapter (docs/method.md).

The published form concatenates the prompts to the tokens, runs the block, and discards the prompt outputs. Nothing
reads those outputs, so prompts act only as keys and values; computing just that gives the same result.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import Attention
from timm.models.vision_transformer import Block
from torch import nn


def adapted_block(
    block: Block,
    x: torch.Tensor,
    prompts: Sequence[torch.Tensor] = (),
    adapter: nn.Module | None = None,
    keep: int | None = None,
) -> torch.Tensor:
    """Return the tokens (B, N, D) after one block, or only the first `keep` of them if nothing reads the others.

    Each of the `prompts` is (1, P, D), shared by the batch, or (B, P, D), one for each image.
    """
    attended = _attend(block.attn, _cast(block.norm1(x)), [_cast(block.norm1(prompt)) for prompt in prompts], keep)
    x = x[:, :keep] + block.ls1(attended)
    hidden = _cast(block.norm2(x))
    added = block.ls2(block.mlp(hidden))
    return x + added if adapter is None else x + added + adapter(hidden)


def _cast(tokens: torch.Tensor) -> torch.Tensor:
    """Cast the tokens to the precision of autocast once; autocast would cast them for every product that reads them."""
    device = tokens.device.type
    return tokens.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tokens


def _attend(
    attention: Attention, hidden: torch.Tensor, prompts: Sequence[torch.Tensor], keep: int | None
) -> torch.Tensor:
    query = attention.q_norm(_project(attention, hidden[:, :keep], slice(0, attention.attn_dim))[0])
    keys, values = [], []
    for tokens in (hidden, *prompts):
        key, value = _project(attention, tokens, slice(attention.attn_dim, None))  # each (b, heads, tokens, d)
        keys.append(attention.k_norm(key).expand(hidden.shape[0], -1, -1, -1))
        values.append(value.expand(hidden.shape[0], -1, -1, -1))
    out = _mix(query, torch.cat(keys, dim=2), torch.cat(values, dim=2), attention.scale)  # (B, heads, N, d)
    return attention.proj(attention.norm(out.transpose(1, 2).flatten(2)))


def _project(attention: Attention, tokens: torch.Tensor, rows: slice) -> tuple[torch.Tensor, ...]:
    """Return the queries, keys or values that `rows` of the fused projection give, each (b, heads, tokens, d)."""
    bias = None if attention.qkv.bias is None else attention.qkv.bias[rows]
    projected = F.linear(tokens, attention.qkv.weight[rows], bias)
    return projected.unflatten(2, (-1, attention.num_heads, attention.head_dim)).permute(2, 0, 3, 1, 4).unbind(0)


def _mix(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    # PyTorch's fused CPU kernel is slow in bfloat16: 4.5 times slower, forward and backward, at 65 tokens
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return ((query * scale) @ key.transpose(-2, -1)).softmax(-1).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value, scale=scale)
