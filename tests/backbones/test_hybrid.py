import copy

import pytest
import timm
import torch
from torch import nn

from lptpp.backbones.hybrid import TextEncoder, build_hybrid, fold_batch_norms

STEM = "test_efficientnet"
SIZES = {"img_size": 64, "embed_dim": 24, "depth": 2, "num_heads": 2}


def stirred(model: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights that matter."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return model.eval()


@pytest.mark.parametrize("name", [STEM, "tf_efficientnet_lite0"])
@torch.no_grad()
def test_folded_batch_norms_change_nothing(name: str) -> None:
    model = stirred(timm.create_model(name, num_classes=5)).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    folded = fold_batch_norms(copy.deepcopy(model))
    torch.testing.assert_close(folded(images), model(images), atol=1e-10, rtol=1e-10)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


@torch.no_grad()
def test_the_tokens_are_the_stems_last_feature_map() -> None:
    tower, images = build_hybrid(STEM, **SIZES).eval(), torch.randn(3, 3, 64, 64)
    embed = tower.patch_embed
    tokens = embed(images)  # (B, N, D)
    maps = embed.backbone(images)  # (B, S, 2, 2)
    for row in range(2):
        for column in range(2):
            expected = maps[:, :, row, column] @ embed.proj.weight[:, :, 0, 0].T + embed.proj.bias
            torch.testing.assert_close(tokens[:, 2 * row + column], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_text_encoder_normalizes_on_request() -> None:
    text = TextEncoder(context_length=8, vocab_size=64, width=16, heads=2, layers=1, output_dim=6).eval()
    tokens = torch.tensor([[62, 5, 9, 63, 0, 0, 0, 0], [62, 7, 63, 0, 0, 0, 0, 0]])
    features = text.encode_text(tokens)
    torch.testing.assert_close(text.encode_text(tokens, normalize=True), features / features.norm(dim=1, keepdim=True))
