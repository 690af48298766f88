"""open_clip models by name, tag and local file; nothing here reaches for a network."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lptpp.backbones import language
from lptpp.backbones.load import load_backbone
from lptpp.utils.errors import UserError
from tests.backbones.test_convert import TEXT, VISION, check_zero_shot
from tests.backbones.test_vision import without_network

TINY = "Tiny-test-CLIP"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[nn.Module]:
    """Register a tiny model with open_clip; its random weights lie in tmp_path."""
    configuration = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True}
    registry = [open_clip.factory._MODEL_CONFIG_PATHS, open_clip.factory._MODEL_CONFIGS]
    before = [copy.copy(part) for part in registry]
    (tmp_path / f"{TINY}.json").write_text(json.dumps(configuration))
    open_clip.add_model_config(tmp_path)
    torch.manual_seed(0)
    model = open_clip.create_model(TINY, load_weights=False).eval()
    save_file(model.state_dict(), tmp_path / "tiny.safetensors")
    yield model
    open_clip.factory._MODEL_CONFIG_PATHS, open_clip.factory._MODEL_CONFIGS = before


def test_a_local_file_gives_open_clips_zero_shot_logits(tiny: nn.Module, tmp_path: Path) -> None:
    backbone = load_backbone("language", TINY, str(tmp_path / "tiny.safetensors"))
    check_zero_shot(tiny, backbone, 32)
    assert backbone.preprocessing.size == (32, 32)
    assert backbone.preprocessing.mean == open_clip.OPENAI_DATASET_MEAN
    assert backbone.preprocessing.std == open_clip.OPENAI_DATASET_STD


def test_a_local_file_at_another_image_size(tiny: nn.Module, tmp_path: Path) -> None:
    path = str(tmp_path / "tiny.safetensors")
    native, large = load_backbone("language", TINY, path), load_backbone("language", TINY, path, image_size=64)
    assert large.tower.pos_embed.shape == (1, 1 + 8 * 8, 48)
    assert large.fingerprint == native.fingerprint
    assert large.preprocessing == native.preprocessing.at((64, 64))
    assert large.tower(torch.randn(1, 3, 64, 64)).isfinite().all()


def test_a_file_that_does_not_match_is_refused(tiny: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file(dict(tiny.state_dict()) | {"visual.proj": torch.zeros(48, 25)}, path)
    with pytest.raises(UserError, match=r"visual\.proj: .*\(48, 24\).*\(48, 25\)"):
        load_backbone("language", TINY, str(path))
    with pytest.raises(UserError, match=r"none\.safetensors"):
        load_backbone("language", TINY, str(tmp_path / "none.safetensors"))


def test_a_local_file_gets_the_preprocessing_shared_by_published_weights(
    tiny: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": "squash"}
    published = {"a": shared | {"mean": (0.5, 0.5, 0.5)}, "b": shared | {"mean": (0.1, 0.1, 0.1)}}
    monkeypatch.setattr(language, "list_pretrained_tags_by_model", lambda name: list(published))
    monkeypatch.setattr(language, "get_pretrained_cfg", lambda name, tag: published[tag])
    preprocessing = load_backbone("language", TINY, str(tmp_path / "tiny.safetensors")).preprocessing
    assert preprocessing.std == (0.5, 0.5, 0.5)
    assert (preprocessing.interpolation, preprocessing.resize) == ("bilinear", "squash")
    assert preprocessing.mean == open_clip.OPENAI_DATASET_MEAN  # the two differ: open_clip's own default stays


def test_published_weights_of_every_model_can_be_compared() -> None:
    for name in open_clip.list_models():
        language._published_preprocessing(name)
    assert language._published_preprocessing("ViT-B-16-SigLIP")["mean"] == (0.5, 0.5, 0.5)


def test_padding_to_the_longest_side_is_refused(tiny: nn.Module) -> None:
    tiny.visual.preprocess_cfg = tiny.visual.preprocess_cfg | {"resize_mode": "longest"}
    with pytest.raises(UserError, match="longest"):
        language.from_clip(TINY, tiny, None)


@pytest.mark.parametrize(
    "name, weights, message",
    [
        ("ViT-B-23", "openai", "backbone ViT-B-23: did you mean .*ViT-B-32"),
        ("clip_lite00", None, "did you mean clip_lite0"),
        ("ViT-B-32", None, r"backbone\.weights .* expected one of openai"),
        ("ViT-B-32", "openia", "did you mean openai"),
        ("ViT-B-32", "weights.pt", r"weights\.pt: .*\.safetensors"),
        ("RN50", "openai", "RN50 is a ModifiedResNet"),
        ("convnext_base", "laion400m_s13b_b51k", "convnext_base is a ConvNeXt: prompts need a ViT"),
        ("ViT-B-16", "openai", r"GELU: .* ViT-B-16-quickgelu\."),
    ],
)
def test_refuses_unsupported_names(name: str, weights: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_backbone("language", name, weights)


def test_quick_gelu_must_match_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "get_pretrained_cfg", lambda name, tag: {"quick_gelu": False})
    with pytest.raises(UserError, match=r"GELU: .* ViT-B-16\."):
        load_backbone("language", "ViT-B-16-quickgelu", "openai")


def test_all_published_weights_load_under_their_name_or_the_one_that_the_message_gives() -> None:
    refused = 0
    for name, tag in open_clip.list_pretrained():
        try:
            language.check_tag(name, tag)
        except UserError as error:
            refused += 1
            language.check_tag(str(error).rpartition("set backbone.name to ")[2].rstrip("."), tag)
    assert 0 < refused < 40


def test_a_failed_download_is_one_line_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "fetch", without_network)
    with pytest.raises(UserError, match=r"laion2b_s34b_b79k of ViT-B-32") as caught:
        load_backbone("language", "ViT-B-32", "laion2b_s34b_b79k")
    assert "\n" not in str(caught.value)


def test_kinds_and_bundled_names_must_agree() -> None:
    with pytest.raises(UserError, match="kind 'visoin': did you mean vision"):
        load_backbone("visoin", "vision_lite2")
    with pytest.raises(UserError, match=r"clip_lite0 is not of kind vision: .* vision_lite2"):
        load_backbone("vision", "clip_lite0")
    with pytest.raises(UserError, match=r"vision_lite2 is not of kind language: .* clip_lite0"):
        load_backbone("language", "vision_lite2")
