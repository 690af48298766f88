import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lptpp.backbones.card_files import CARD, read_card
from lptpp.backbones.cards import build_parts
from lptpp.backbones.inputs import preprocessing_of
from lptpp.backbones.load import load_backbone
from lptpp.utils.errors import UserError
from tests.towers import LANGUAGE, VISION, write_card


@torch.no_grad()
def test_a_file_with_a_card_is_the_tower_it_describes(tmp_path: Path) -> None:
    path = write_card(tmp_path, LANGUAGE)
    parts = build_parts(LANGUAGE).eval()
    parts.load_state_dict(load_file(path))
    backbone = load_backbone("language", "clip_random", str(path))
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(backbone.tower(images), parts["tower"](images))
    assert backbone.feature_width == 20
    assert backbone.text is not None
    tokens = backbone.text.tokenizer(["cat", "dog"])
    torch.testing.assert_close(
        backbone.text.class_vectors(["cat", "dog"], ["{}"]), parts["text"].encode_text(tokens, normalize=True)
    )
    assert backbone.text.logit_scale == pytest.approx(float(parts["text"].logit_scale.exp()))


def test_other_image_sizes_are_multiples_of_32(tmp_path: Path) -> None:
    path = str(write_card(tmp_path, VISION))
    assert (
        load_backbone("vision", "vision_random", path, image_size=96).tower(torch.randn(1, 3, 96, 96)).isfinite().all()
    )
    with pytest.raises(UserError, match=r"image_size=80 of vision_random: .* 32"):
        load_backbone("vision", "vision_random", path, image_size=80)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"stem": "resnet18"}, "card .* resnet18"),
        ({"architecture": {"img_size": 64, "width": 3}}, "card .*width"),
        ({"architecture": VISION["architecture"] | {"depth": 3}}, r"tower\.blocks\.3"),
        ({"size": None}, "card .*TypeError"),
        ({"name": "another"}, "another, not vision_random"),
        ({"text": LANGUAGE["text"]}, "text"),
    ],
)
def test_refuses_a_card_that_does_not_match(changes: dict, message: str, tmp_path: Path) -> None:
    path = write_card(tmp_path, VISION)
    save_file(load_file(path), path, {CARD: json.dumps(VISION | changes)})
    with pytest.raises(UserError, match=message):
        load_backbone("vision", "vision_random", str(path))


def test_refuses_a_card_that_is_not_json(tmp_path: Path) -> None:
    path = write_card(tmp_path, VISION)
    save_file(load_file(path), path, {CARD: "{"})
    with pytest.raises(UserError, match="JSON"):
        load_backbone("vision", "vision_random", str(path))


def test_kinds_must_agree(tmp_path: Path) -> None:
    path = str(write_card(tmp_path, VISION))
    with pytest.raises(UserError, match="vision_random is not of kind language"):
        load_backbone("language", "vision_random", path)


def test_other_files_have_no_card(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    assert read_card(tmp_path / "plain.safetensors") is None


@pytest.mark.parametrize("content", [None, b"", b"no", b"\x80\x04." * 9], ids=["absent", "empty", "text", "pickle"])
@pytest.mark.parametrize("load", [load_backbone, preprocessing_of])
def test_files_that_are_none_are_refused_by_their_name(load, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"The weights file .*w\.safetensors (does not exist|cannot be read)"):
        load("vision", "vision_random", str(path))
