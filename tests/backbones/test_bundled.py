import json
from importlib.resources import files

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from lptpp.backbones import BUNDLED, load_backbone
from tests.backbones.test_convert import check_zero_shot

FOLDER = files("lptpp.backbones.bundled")


def card_and_weights(name: str) -> tuple[dict, dict[str, torch.Tensor]]:
    card = json.loads((FOLDER / f"{name}.json").read_text())
    weights = load_file(FOLDER / f"{name}.safetensors")
    return card, {key: tensor.float() for key, tensor in weights.items()}


def test_the_vision_tower_is_what_its_card_says() -> None:
    card, weights = card_and_weights("vision_tiny32")
    tower = VisionTransformer(**card["kwargs"]).eval()
    tower.load_state_dict(weights)
    backbone, images = load_backbone("vision", "vision_tiny32"), torch.randn(2, 3, 32, 32)
    assert torch.equal(backbone.tower(images), tower(images).detach())
    assert backbone.text is None
    assert backbone.feature_width == 192


def test_the_language_tower_gives_open_clips_zero_shot_logits() -> None:
    card, weights = card_and_weights("clip_tiny32")
    model = open_clip.CLIP(**card["model_cfg"]).eval()
    model.load_state_dict(weights)
    backbone = load_backbone("language", "clip_tiny32")
    check_zero_shot(model, backbone, 32)
    assert backbone.text.logit_scale == pytest.approx(float(weights["logit_scale"].exp()))
    assert backbone.feature_width == card["model_cfg"]["embed_dim"]


@pytest.mark.parametrize("kind", BUNDLED)
def test_the_preprocessing_is_the_cards(kind: str) -> None:
    card, _ = card_and_weights(BUNDLED[kind])
    said = card.get("preprocess_cfg", card)
    size = said["size"] if "size" in said else said["input_size"][1:]
    found = load_backbone(kind, BUNDLED[kind]).preprocessing
    assert (list(found.size), list(found.mean), list(found.std)) == (size, said["mean"], said["std"])
    assert said["interpolation"].startswith(found.interpolation)
    assert found.crop_share == 1
    assert not found.squash


@pytest.mark.parametrize("kind", BUNDLED)
def test_nothing_of_a_backbone_trains(kind: str) -> None:
    backbone = load_backbone(kind, BUNDLED[kind], image_size=48)
    assert not any(parameter.requires_grad for parameter in backbone.tower.parameters())
    assert not any(module.training for module in backbone.tower.modules())
    if backbone.text is not None:
        assert not any(parameter.requires_grad for parameter in backbone.text.model.parameters())
        assert not hasattr(backbone.text.model, "visual")
