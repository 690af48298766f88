"""A CLIP's image tower as a timm module: the same features, and zero-shot CLIP before training."""

import copy

import open_clip
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lptpp.backbones.base import Backbone
from lptpp.backbones.convert import image_tower
from lptpp.backbones.language import from_clip
from lptpp.backbones.text import simple_tokenizer
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert
from lptpp.utils.errors import UserError
from tests.towers import build_clip

JOINT = 24
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 3, "width": 48, "head_width": 16, "patch_size": 8}
TIMM = {"image_size": 160, "timm_proj": "linear"}  # timm's own towers inside open_clip: test_vit has no 32 px
PREPROCESSING = {"size": 32, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.1), "interpolation": "bicubic"}
VARIANTS = {
    "plain": VISION,
    "LayerScale": VISION | {"ls_init_value": 0.1},
    "norm before the mean": VISION | {"pool_type": "avg", "final_ln_after_pool": False},
    "norm after the mean": VISION | {"pool_type": "avg", "final_ln_after_pool": True},
    "norm after the class token": VISION | {"final_ln_after_pool": True},
    "no norm before the blocks": VISION | {"no_ln_pre": True},
    "fixed positions": VISION | {"pos_embed_type": "sin_cos_2d"},
    "uneven mlp": VISION | {"width": 112, "head_width": 28, "mlp_ratio": 2.183},
    "CoCa's pooling": VISION | {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4},
    "timm, class token": TIMM | {"timm_model_name": "test_vit", "timm_pool": "token"},
    "timm, mean": TIMM | {"timm_model_name": "test_vit2", "timm_pool": "avg"},
    "timm, attention": TIMM | {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "mlp"},
    "timm, no projection": TIMM | {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": ""},
}
NAMES = ["tree_frog", "aeroplane", "x", "grinning face"]
TEMPLATES = ["a photo of a {}.", "{}", "art of the {}, a {}"]


def random_clip(vision: dict, quick_gelu: bool = False) -> nn.Module:
    torch.manual_seed(0)
    model = build_clip({"embed_dim": JOINT, "vision_cfg": vision, "text_cfg": TEXT, "quick_gelu": quick_gelu})
    with torch.no_grad():
        for parameter in model.visual.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))  # biases, norms and LayerScales of their own
    model.visual.preprocess_cfg = PREPROCESSING
    return model.eval()


def zero_shot_logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return open_clip's own logits (B, C): every text by itself, the class vector their normalized mean."""
    tokenizer, vectors = open_clip.SimpleTokenizer(context_length=model.context_length), []
    for name in NAMES:
        texts = [template.replace("{}", name.replace("_", " ")) for template in TEMPLATES]
        units = [F.normalize(model.encode_text(tokenizer([text]))[0], dim=0) for text in texts]
        vectors.append(F.normalize(sum(units) / len(units), dim=0))
    image_features = F.normalize(model.encode_image(images), dim=-1)
    return model.logit_scale.exp() * image_features @ torch.stack(vectors).T


def zero_shot_expert(backbone: Backbone) -> Expert:
    expert = Expert(backbone, AdaptedEncoder(backbone.tower), len(NAMES), backbone.text.logit_scale)
    expert.heads[0].start_from(backbone.text.class_vectors(NAMES, TEMPLATES))
    return expert


def check_zero_shot(model: nn.Module, backbone: Backbone, size: int) -> None:
    images = torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, expert = zero_shot_logits(model, images), zero_shot_expert(backbone)
        logits = expert.scale * expert(images).cosines
    assert expected.std() > 1e-2  # nothing is equal for want of signal
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("quick_gelu", [False, True], ids=["", "quick-gelu"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_before_training_the_expert_is_zero_shot_clip(variant: str, quick_gelu: bool) -> None:
    model = random_clip(VARIANTS[variant], quick_gelu)
    backbone = from_clip(variant, copy.deepcopy(model), simple_tokenizer(TEXT["context_length"]))
    check_zero_shot(model, backbone, VARIANTS[variant]["image_size"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_converted_tower_gives_open_clips_features(variant: str) -> None:
    model = random_clip(VARIANTS[variant]).double()
    size = VARIANTS[variant]["image_size"]
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        expected = model.encode_image(images)
        tower = image_tower(copy.deepcopy(model.visual), variant).double().eval()
        torch.testing.assert_close(tower(images), expected, atol=1e-10, rtol=0)
    assert expected.shape == (2, JOINT)
    assert Backbone(variant, tower, from_clip("x", random_clip(VISION), None).preprocessing).feature_width == JOINT


def test_the_tower_of_eva02_clip_is_kept() -> None:
    vision = {
        "image_size": 224,
        "timm_model_name": "eva02_tiny_patch14_224",
        "timm_pool": "token",
        "timm_proj": "linear",
    }
    visual = random_clip(vision).visual
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = visual(images)
        tower = image_tower(visual, "EVA02").requires_grad_(False)
        torch.testing.assert_close(AdaptedEncoder(tower).query_feature(images), expected, atol=1e-5, rtol=1e-5)


def test_quick_gelu_changes_the_logits_of_this_test() -> None:
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        plain, quick = (random_clip(VISION, quick_gelu=on).encode_image(images) for on in (False, True))
    assert not torch.allclose(plain, quick, atol=1e-4)


@pytest.mark.parametrize(
    "vision",
    [
        {**VISION, "layers": [1, 1, 1, 1], "width": 16},  # a ResNet
        {**VISION, "attentional_pool": "parallel", "attn_pooler_heads": 2},
        {**VISION, "qk_norm": True},
        {**VISION, "pool_type": "none"},
        {"image_size": 160, "timm_model_name": "test_resnet", "timm_pool": "avg"},
    ],
    ids=["ResNet", "attentional pooling", "other blocks", "no pooling", "timm ResNet"],
)
def test_refuses_other_image_towers(vision: dict) -> None:
    visual = build_clip({"embed_dim": JOINT, "vision_cfg": vision, "text_cfg": TEXT | {"vocab_size": 8}}).visual
    with pytest.raises(UserError, match=r"^(The image tower of|Backbone) Tiny (is|has)"):
        image_tower(visual, "Tiny")
