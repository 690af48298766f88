"""Frozen towers in bfloat16: half the memory, and the same outputs under autocast to the bit.

Autocast casts the weights of linear layers and convolutions to bfloat16 for every product; here they are stored that
way. Everything else (norms, position embeddings, LayerScale) stays in float32, as autocast uses it.
"""

import torch
from torch import nn


def hold_in_bf16(tower: nn.Module) -> None:
    """Store the weights of linear layers and convolutions in bfloat16, in place.

    From then on, the tower runs only under autocast to bfloat16.
    """
    for module in tower.modules():
        if type(module) in (nn.Linear, nn.Conv2d):
            module.to(torch.bfloat16)
