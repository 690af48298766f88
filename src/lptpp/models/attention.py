"""Attention of image tokens to themselves and to prompts, with the weights of a frozen attention module.

    q, k, v = queries, keys, values of the tokens;   kp, vp = keys and values of the prompts
    out     = softmax(R q · [R k; kp] · scale + [bias, 0]) [v; vp]

R is a rotation by position of the tokens after the prefix (2104.09864), or nothing. Prompts have no position: they are
not rotated, and their columns of the bias are zero.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import apply_rot_embed_cat

from lptpp.backbones.families import TokenPositions


def attend(
    attention: Any, hidden: torch.Tensor, prompts: Sequence[torch.Tensor], keep: int | None, position: TokenPositions
) -> torch.Tensor:
    """Return the output (B, N, D) of an attention module for normalized tokens (B, N, D), or its first `keep` rows.

    Each of the normalized `prompts` is (1, P, D) or (B, P, D).
    """
    read = hidden[:, :keep]
    (query,) = _project(attention, read, "q")
    query = _rotate(attention, _part(attention, "q_norm", query), position.rope)
    keys, values = [], []
    for tokens, rope in [(hidden, position.rope), *((prompt, None) for prompt in prompts)]:
        key, value = _project(attention, tokens, "kv")  # each (b, heads, tokens, d)
        key = _rotate(attention, _part(attention, "k_norm", key), rope)
        keys.append(_for_each_query(attention, key).expand(hidden.shape[0], -1, -1, -1))
        values.append(_for_each_query(attention, value).expand(hidden.shape[0], -1, -1, -1))
    bias = _widen(position.bias, query.shape[2], sum(prompt.shape[1] for prompt in prompts))
    out = _mix(query, torch.cat(keys, dim=2), torch.cat(values, dim=2), attention.scale, bias)  # (B, heads, N, d)
    out = _part(attention, "norm", out.transpose(1, 2).flatten(2))
    gate = getattr(attention, "gate", None)
    return attention.proj(out if gate is None else out * gate(read).sigmoid())


def _project(attention: Any, tokens: torch.Tensor, names: str) -> list[torch.Tensor]:
    """Return queries ("q") or keys and values ("kv"), each (b, heads, tokens, d), from one projection or from three."""
    flat: Sequence[torch.Tensor]
    if attention.qkv is None:
        flat = [getattr(attention, f"{name}_proj")(tokens) for name in names]
    else:
        width = attention.proj.in_features
        rows = slice(0, width) if names == "q" else slice(width, None)
        bias = _bias(attention)
        flat = F.linear(tokens, attention.qkv.weight[rows], None if bias is None else bias[rows]).chunk(len(names), -1)
    head = attention.proj.in_features // attention.num_heads
    return [one.unflatten(2, (-1, head)).transpose(1, 2) for one in flat]


def _bias(attention: Any) -> torch.Tensor | None:
    """Return the bias (3 · heads · d) of a fused projection; EVA and BEiT store its three parts, that of k is zero."""
    if getattr(attention, "q_bias", None) is None:
        return attention.qkv.bias
    return torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])


def _part(attention: Any, name: str, x: torch.Tensor) -> torch.Tensor:
    module = getattr(attention, name, None)
    return x if module is None else module(x)


def _rotate(attention: Any, x: torch.Tensor, rope: torch.Tensor | None) -> torch.Tensor:
    """Rotate queries or keys (B, heads, tokens, d) of the tokens after the prefix."""
    if rope is None or x.shape[2] <= attention.num_prefix_tokens:
        return x
    prefix, rest = x[:, :, : attention.num_prefix_tokens], x[:, :, attention.num_prefix_tokens :]
    turned = apply_rot_embed_cat(rest, rope[..., : rest.shape[2], :], half=attention.rotate_half)
    return torch.cat([prefix, turned], dim=2)


def _for_each_query(attention: Any, x: torch.Tensor) -> torch.Tensor:
    """Repeat the heads of keys or values for the heads of queries that share them (2305.13245)."""
    groups = getattr(attention, "num_kv_groups", 1)
    return x if groups == 1 else x.repeat_interleave(groups, dim=1)


def _widen(bias: torch.Tensor | None, queries: int, prompts: int) -> torch.Tensor | None:
    """Return the first rows of the bias, with a zero column for each prompt: (1, heads, queries, T + prompts)."""
    return None if bias is None else F.pad(bias[:, :, :queries], (0, prompts))


def _mix(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, bias: torch.Tensor | None
) -> torch.Tensor:
    # PyTorch's fused CPU kernel is slow in bfloat16: 4.5 times slower, forward and backward, at 65 tokens
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        scores = (query * scale) @ key.transpose(-2, -1)
        return (scores if bias is None else scores + bias).softmax(-1).to(value.dtype) @ value
    mask = None if bias is None else bias.to(query.dtype)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
