"""Which towers take prompts, and why others do not."""

from typing import Any

from timm.layers import Attention, AttentionRope
from timm.models import beit
from timm.models.eva import EvaAttention, EvaBlock
from timm.models.vision_transformer import Block
from timm.models.vision_transformer_relpos import RelPosAttention, RelPosBlock

from lptpp.backbones.families import FAMILIES
from lptpp.utils.errors import UserError

# pre-norm blocks with global attention, and the attention in them; the tests compare each with timm's own forward
BLOCKS = {
    (Block, Attention),
    (EvaBlock, EvaAttention),
    (EvaBlock, AttentionRope),
    (beit.Block, beit.Attention),
    (RelPosBlock, RelPosAttention),
}


def no_prompts(tower: Any) -> str | None:
    """Return why a tower takes no prompts, as the rest of a sentence about it; None if it takes them."""
    if type(tower) not in FAMILIES:
        return f"is a {type(tower).__name__}: prompts need a ViT whose blocks attend to all tokens"
    other = next((block for block in tower.blocks if (type(block), _attention(block)) not in BLOCKS), None)
    if other is None:
        return None
    found = type(other).__name__ + (f" with {_attention(other).__name__}" if hasattr(other, "attn") else "")
    return f"has unsupported blocks ({found}): prompts need pre-norm blocks with plain attention"


def check_supported(tower: Any, name: str) -> None:
    """Raise `UserError` unless the tower takes prompts."""
    reason = no_prompts(tower)
    if reason is not None:
        raise UserError(f"Backbone {name} {reason}; choose another, for example a vit_* name of timm.")


def _attention(block: Any) -> type:
    return type(getattr(block, "attn", None))
