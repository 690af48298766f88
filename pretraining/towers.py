"""A tower in training: construction, initialization, and the forward pass from cached feature maps."""

from collections.abc import Iterator

import open_clip
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lptpp.backbones.hybrid import TextEncoder, build_hybrid
from pretraining.cache import Stem
from pretraining.settings import TowerSettings


def build_tower(settings: TowerSettings) -> VisionTransformer:
    """Return the tower with random weights; its feature is the normalized mean over tokens."""
    return build_hybrid(settings.stem, img_size=settings.image_size, **settings.architecture)


def install_stem(tower: VisionTransformer, stem: Stem) -> None:
    """Load the pretrained stem into the tower and freeze it."""
    weights = {k: v for k, v in stem.network.state_dict().items() if not k.startswith("classifier.")}
    tower.patch_embed.backbone.load_state_dict(weights, strict=True)
    tower.patch_embed.backbone.requires_grad_(False)


@torch.no_grad()
def start_from_components(tower: VisionTransformer, pooled: torch.Tensor) -> None:
    """Set the token projection to the principal components of pooled features (n, 1280).

    The mean token is then the projected pooled feature, so that the untrained tower preserves the information of its
    stem. Components are divided by their root mean square, so that tokens have the scale that blocks expect.
    """
    projection = tower.patch_embed.proj
    mean = pooled.mean(0)
    _, _, components = torch.pca_lowrank(pooled - mean, q=projection.out_channels, center=False, niter=6)  # (1280, D)
    scale = ((pooled - mean) @ components).square().mean().sqrt()
    weight = components.T / scale  # (D, 1280)
    projection.weight.copy_(weight[:, :, None, None])
    projection.bias.copy_(-weight @ mean)
    tower.pos_embed.zero_()


def pooled_feature(tower: VisionTransformer, tokens: torch.Tensor) -> torch.Tensor:
    """Return the pooled token (B, D) for stem tokens (B, N, 1280)."""
    projection = tower.patch_embed.proj
    x = F.linear(tokens, projection.weight.flatten(1), projection.bias) + tower.pos_embed
    return tower.forward_head(tower.norm(tower.blocks(tower.norm_pre(x))), pre_logits=True)


def trained_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the names and parameters outside the stem."""
    yield from ((name, one) for name, one in module.named_parameters() if ".backbone." not in name)


def build_text(settings: TowerSettings) -> TextEncoder:
    """Return the text tower with random weights."""
    return TextEncoder(**settings.text)


def tokenizer(settings: TowerSettings) -> open_clip.SimpleTokenizer:
    """Return open_clip's tokenizer with the context length of the text tower."""
    return open_clip.SimpleTokenizer(context_length=settings.text["context_length"])
