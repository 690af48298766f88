"""The published form of an expert, implemented literally: the reference for the speed of `lptpp`.

Prompts are concatenated to the tokens before each block, the block runs on all of them, and the prompts' outputs are
dropped. One full pass with shared prompts computes the query, another full pass the feature. Each stream of a dual
step has its own forward pass, and the sum of the losses has one backward pass. The parameters are those of an `lptpp`
expert, and outputs, losses and gradients are equal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block

from lptpp.models.expert import Expert, ExpertOutput
from lptpp.training.loop import Batch


@dataclass(frozen=True)
class Published:
    """The published form with the parameters of an expert that has shared and group prompts and adapters."""

    expert: Expert

    def phase1(self, images: torch.Tensor) -> ExpertOutput:
        """Classify images (B, 3, H, W) with shared prompts and adapters only."""
        feature = self.expert.encoder.tower.head(self._pass(images))  # (B, F)
        cosines = _cosines(feature, self.expert.heads[0].weight)
        return ExpertOutput(feature, cosines, feature.new_zeros(len(feature)), cosines)

    def phase2(self, images: torch.Tensor) -> ExpertOutput:
        """Classify images (B, 3, H, W) with all parts of the expert."""
        tower, groups = self.expert.encoder.tower, self.expert.encoder.groups
        assert groups is not None
        query = self._pass(images)  # (B, D)
        best, selected = _cosines(query, groups.keys).topk(groups.top_k)  # (B, k)
        prompts = groups.tokens[selected].mean(1)  # (B, K, P, D)
        feature = tower.head(self._pass(images, prompts))  # (B, F)
        cosines = _cosines(feature, self.expert.heads[1].weight)  # (B, C)
        phase1_cosines = _cosines(tower.head(query), self.expert.heads[0].weight)
        return ExpertOutput(feature, cosines, best.sum(1), phase1_cosines, selected)

    def _pass(self, images: torch.Tensor, group_prompts: torch.Tensor | None = None) -> torch.Tensor:
        """Return the pooled token (B, D) after all blocks."""
        encoder, tower = self.expert.encoder, self.expert.encoder.tower
        assert encoder.shared is not None and encoder.adapters is not None
        x = tower.norm_pre(tower._pos_embed(tower.patch_embed(images)))  # (B, 1+N, D)
        for index, block in enumerate(tower.blocks):
            prompts = [encoder.shared.tokens[index].expand(len(x), -1, -1)]  # (B, P, D)
            if group_prompts is not None and index >= encoder.first_group_block:
                prompts.append(group_prompts[:, index - encoder.first_group_block])
            together = torch.cat([x, *prompts], dim=1)  # (B, 1+N+P, D)
            x = _block(block, together, encoder.adapters[index])[:, : x.shape[1]]
        return tower.forward_head(tower.norm(x), pre_logits=True)


def add_gradients(
    task: Callable[..., torch.Tensor], backward: Callable[[torch.Tensor], object], batch: Batch, epoch: int
) -> torch.Tensor:
    """Accumulate the gradients of a batch; return its loss, the sum over its streams."""
    shares = zip(batch.inputs.chunk(batch.streams), batch.labels.chunk(batch.streams), strict=True)
    losses = [task(*share, epoch, stream) for stream, share in enumerate(shares)]
    loss = torch.stack(losses).sum()
    backward(loss)
    return loss.detach()


def _block(block: Block, x: torch.Tensor, adapter: Any) -> torch.Tensor:
    """Run timm's block unchanged on tokens (B, T, D), with an adapter parallel to its MLP."""
    x = x + block.drop_path1(block.ls1(block.attn(block.norm1(x))))
    hidden = block.norm2(x)
    adapted = adapter.scale * adapter.up(F.relu(adapter.down(hidden)))
    return x + block.drop_path2(block.ls2(block.mlp(hidden))) + adapted


def _cosines(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    return F.normalize(features, dim=-1) @ F.normalize(vectors, dim=-1).T
