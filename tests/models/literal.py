"""The adapted encoder, literally: each image by itself, prompts concatenated to the tokens, two full passes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lptpp.models.encoder import AdaptedEncoder, Encoding

GROUPS = {"num_groups": 5, "top_k": 2, "group_blocks": 2}
BIASES = ("shared_rel_pos_bias", "shared_rel_pos")  # names by which timm passes a bias to its blocks


def randomise(parameters: list[nn.Parameter], seed: int) -> None:
    """Draw weights large enough that every part of a block counts."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.data = 0.15 * torch.randn(parameter.shape, generator=generator) + (parameter.ndim == 1) * 0.5


class LiteralBlock(nn.Module):
    """The published form: timm's own block over tokens and prompts together, the outputs of the prompts discarded.

    Prompts are at the end of the sequence; the positions that timm passes to its blocks are extended to say nothing of
    them: a rotation by zero, a bias of zero.
    """

    def __init__(self, block: nn.Module, prompts: list[torch.Tensor], adapter: nn.Module | None) -> None:
        super().__init__()
        self.block, self.prompts, self.adapter = block, prompts, adapter

    def forward(self, x: torch.Tensor, rope: torch.Tensor | None = None, **given: object) -> torch.Tensor:
        together = torch.cat([x, *(prompt[None] for prompt in self.prompts)], dim=1)
        extra = together.shape[1] - x.shape[1]
        given = {name: pad(value, extra) if name in BIASES else value for name, value in given.items()}
        given = {name: value for name, value in given.items() if value is not None and value is not False}
        if rope is not None:
            rest = rope.new_zeros(*rope.shape[:-2], extra, rope.shape[-1])
            rest[..., rope.shape[-1] // 2 :] = 1  # sine 0, cosine 1
            given["rope"] = torch.cat([rope, rest], dim=-2)
        with padded_biases(self.block.attn, extra), seen_by(self.block.mlp) as hidden:
            whole = self.block(together, **given)
        if self.adapter is not None:
            whole = whole + literal_adapter(self.adapter, hidden[0])
        return whole[:, : x.shape[1]]


def pad(bias: torch.Tensor | None, extra: int) -> torch.Tensor | None:
    """Return a bias (1, heads, T, T) with `extra` rows and columns of zeros; BEiT shares one without a batch."""
    return None if bias is None else nn.functional.pad(bias, (0, extra, 0, extra))


@contextmanager
def padded_biases(attention: nn.Module, extra: int) -> Iterator[None]:
    """Extend the bias that an attention module computes itself."""
    own = getattr(attention, "rel_pos", None) or attention
    name = next((name for name in ("get_bias", "_get_rel_pos_bias") if hasattr(own, name)), None)
    if name is None:
        yield
        return
    compute = getattr(own, name)
    setattr(own, name, lambda: pad(compute(), extra))
    yield
    delattr(own, name)


@contextmanager
def seen_by(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the inputs of a module."""
    seen: list[torch.Tensor] = []
    hook = module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    yield seen
    hook.remove()


def literal_adapter(adapter: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    narrow = (hidden @ adapter.down.weight.T + adapter.down.bias).clamp(min=0)
    return adapter.scale * (narrow @ adapter.up.weight.T + adapter.up.bias)


def literal_pass(
    encoder: AdaptedEncoder, image: torch.Tensor, group_prompts: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pooled token (D,) and the feature (F,) of one image, by timm's own forward over literal blocks."""
    tower, blocks, literal = encoder.tower, encoder.tower.blocks, []
    first = len(blocks) - GROUPS["group_blocks"]
    for index, block in enumerate(blocks):
        prompts = [] if encoder.shared is None else [encoder.shared.tokens[index]]
        if group_prompts is not None and index >= first:
            prompts.append(group_prompts[index - first])
        adapter = None if encoder.adapters is None else encoder.adapters[index]
        literal.append(LiteralBlock(block, prompts, adapter))
    tower.blocks = type(blocks)(literal) if isinstance(blocks, nn.ModuleList) else nn.Sequential(*literal)
    tokens = tower.forward_features(image[None])
    tower.blocks = blocks
    return tower.forward_head(tokens, pre_logits=True)[0], tower.forward_head(tokens)[0]


def literal_choice(encoder: AdaptedEncoder, query: torch.Tensor) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    """Return the chosen entries, the mean (K, P, D) of their prompts, and the sum of their cosines."""
    keys, tokens = encoder.groups.keys, encoder.groups.tokens
    cosines = [(query @ key) / (query.norm() * key.norm()) for key in keys]
    ranked = sorted(range(len(keys)), key=lambda entry: float(cosines[entry].detach()), reverse=True)
    entries = ranked[: GROUPS["top_k"]]
    return entries, sum(tokens[e] for e in entries) / len(entries), sum(cosines[e] for e in entries)


def literal_encoding(encoder: AdaptedEncoder, images: torch.Tensor) -> Encoding:
    query_features, features, matches, chosen = [], [], [], []
    for image in images:
        query, query_feature = literal_pass(encoder, image, None)
        feature, match = query_feature, torch.zeros((), dtype=image.dtype)
        if encoder.groups is not None:
            entries, prompts, match = literal_choice(encoder, query)
            chosen.append(entries)
            _, feature = literal_pass(encoder, image, prompts)
        query_features.append(query_feature)
        features.append(feature)
        matches.append(match)
    message = torch.tensor(chosen) if chosen else None
    return Encoding(torch.stack(query_features), torch.stack(features), torch.stack(matches), message)
