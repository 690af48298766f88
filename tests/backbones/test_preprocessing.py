"""The preprocessing that is known without weights equals that of the loaded backbone."""

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from lptpp.backbones import language
from lptpp.backbones.card_files import BUNDLED
from lptpp.backbones.inputs import preprocessing_of
from lptpp.backbones.load import load_backbone
from lptpp.utils.errors import UserError
from tests.backbones.test_vision import random_tower, saved


@pytest.mark.parametrize("kind", BUNDLED)
@pytest.mark.parametrize("size", [None, 192])
def test_of_a_bundled_tower(kind: str, size: int | None) -> None:
    assert (
        preprocessing_of(kind, BUNDLED[kind], None, size)
        == load_backbone(kind, BUNDLED[kind], None, size).preprocessing
    )


def test_of_a_file_with_a_card(cards: Path) -> None:
    for kind, name in (("vision", "vision_random"), ("language", "clip_random")):
        arguments = (kind, name, str(cards / f"{name}.safetensors"))
        assert preprocessing_of(*arguments) == load_backbone(*arguments).preprocessing


def test_of_a_timm_model_in_a_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", random_tower("test_vit"))
    assert preprocessing_of("vision", "test_vit", path) == load_backbone("vision", "test_vit", path).preprocessing


@pytest.mark.parametrize("mode", ["squash", "shortest"])
def test_of_an_open_clip_model_in_a_file(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": mode}
    monkeypatch.setattr(language, "list_pretrained_tags_by_model", lambda name: ["one"])
    monkeypatch.setattr(language, "get_pretrained_cfg", lambda name, tag: published)
    with torch.random.fork_rng():
        save_file(open_clip.create_model("ViT-S-32-alt").state_dict(), tmp_path / "w.safetensors")
    arguments = ("language", "ViT-S-32-alt", str(tmp_path / "w.safetensors"))
    found = preprocessing_of(*arguments)
    assert found == load_backbone(*arguments).preprocessing
    assert (found.mean, found.resize) == ((0.1, 0.2, 0.3), "squash" if mode == "squash" else "crop")


def test_of_published_weights() -> None:
    found = preprocessing_of("language", "ViT-B-16-SigLIP", "webli")
    assert (found.size, found.mean, found.resize) == ((224, 224), (0.5, 0.5, 0.5), "squash")
    found = preprocessing_of("vision", "vit_base_patch16_clip_224.openai")
    assert (found.size, found.crop_share, found.resize) == ((224, 224), 0.9, "crop")


@pytest.mark.parametrize("kind", BUNDLED)
def test_unknown_names_are_refused_as_when_loading(kind: str) -> None:
    with pytest.raises(UserError, match="Unknown"):
        preprocessing_of(kind, "vit_bass")
