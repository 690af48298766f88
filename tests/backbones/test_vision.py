"""timm towers by name and local file; nothing here reaches for a network."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from lptpp.backbones import vision
from lptpp.backbones.base import fingerprint
from lptpp.backbones.hub import HubFile
from lptpp.backbones.load import load_backbone
from lptpp.utils.errors import UserError
from tests.families import FAMILIES, TINY, tiny

PRETRAINED = "vit_tiny_patch16_224.augreg_in21k"


def saved(path: Path, tower: VisionTransformer, **changes: torch.Tensor | None) -> str:
    weights = {key: tensor.contiguous() for key, tensor in tower.state_dict().items()} | changes
    save_file({key: tensor for key, tensor in weights.items() if tensor is not None}, path)
    return str(path)


def random_tower(name: str = "test_vit", **options: object) -> VisionTransformer:
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


@pytest.mark.parametrize("classes", [0, 10], ids=["no classifier", "classifier"])
def test_a_local_file_gives_the_features_of_its_tower(classes: int, tmp_path: Path) -> None:
    tower = random_tower("vit_tiny_patch16_224", num_classes=classes)
    backbone = load_backbone("vision", "vit_tiny_patch16_224", saved(tmp_path / "w.safetensors", tower))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = tower.forward_head(tower.forward_features(images), pre_logits=True)
        assert torch.equal(backbone.tower(images), expected)
    assert backbone.feature_width == 192
    tower.reset_classifier(0)
    assert backbone.fingerprint == fingerprint(tower)


def test_a_local_file_at_another_image_size(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", random_tower("vit_tiny_patch16_224"))
    native = load_backbone("vision", "vit_tiny_patch16_224", path)
    small = load_backbone("vision", "vit_tiny_patch16_224", path, image_size=96)
    assert small.tower.pos_embed.shape == (1, 1 + 6 * 6, 192)
    assert small.fingerprint == native.fingerprint
    with torch.no_grad():
        assert small.tower(torch.randn(1, 3, 96, 96)).isfinite().all()
    with pytest.raises(UserError, match=r"image_size=100 .* 16"):
        load_backbone("vision", "vit_tiny_patch16_224", path, image_size=100)


@pytest.mark.parametrize("kind", ["DeiT, distilled", "EVA02", "DINOv3", "NaFlexViT, RoPE", "BEiT", "RelPos, table"])
def test_a_local_file_of_each_class_of_towers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name, own), create = FAMILIES[kind], timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda given, **options: create(given, **(TINY | own | options)))
    tower, images = tiny(kind), torch.randn(2, 3, 32, 32)
    backbone = load_backbone("vision", name, saved(tmp_path / "w.safetensors", tower))
    with torch.no_grad():
        assert torch.equal(backbone.tower(images), tower(images))
        larger = saved(tmp_path / "larger.safetensors", tiny(kind, img_size=48))
        assert load_backbone("vision", name, larger).tower(images).isfinite().all()
    assert backbone.fingerprint == fingerprint(tower)


def test_a_file_made_at_another_image_size_is_resampled(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", random_tower(img_size=96))
    assert load_backbone("vision", "test_vit", path).tower.pos_embed.shape[1] == 1 + 10 * 10


@pytest.mark.parametrize("name, mean", [("vit_base", 0.5), ("vit_base.dino", 0.485)])
def test_a_tag_says_how_a_local_file_wants_its_images(
    name: str, mean: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = timm.create_model  # a shallow, narrow tower in the place of the base model

    def create_small(given: str, **options: object) -> VisionTransformer:
        return create(given, **options, depth=1, embed_dim=24, num_heads=2)

    monkeypatch.setattr(timm, "create_model", create_small)
    name = name.replace("vit_base", "vit_base_patch16_224")
    path = saved(tmp_path / "w.safetensors", random_tower("vit_base_patch16_224"))
    preprocessing = load_backbone("vision", name, path).preprocessing
    assert preprocessing.mean[0] == mean
    assert (preprocessing.size, preprocessing.interpolation) == ((224, 224), "bicubic")
    assert (preprocessing.crop_share, preprocessing.resize) == (0.9, "crop")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"norm.weight": None}, r"norm\.weight: .*\(64,\).* none"),
        ({"more": torch.zeros(2)}, r"more: .*\(2,\)"),
        ({"norm.weight": torch.zeros(65)}, r"norm\.weight: .*\(64,\).*\(65,\)"),
        ({"patch_embed.proj.weight": torch.zeros(64, 3, 8, 8)}, "8 pixels.* 16"),
        ({"patch_embed.proj.weight": torch.zeros(64, 700)}, "RuntimeError"),
        ({"encoder": torch.zeros(2)}, "AttributeError"),
    ],
    ids=["missing", "extra", "shape", "patch", "flat patch", "other format"],
)
def test_a_file_must_match(changes: dict, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", random_tower(), **changes)
    with pytest.raises(UserError, match=message):
        load_backbone("vision", "test_vit", path)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", random_tower("test_vit2"))
    with pytest.raises(UserError, match=r"w\.safetensors"):
        load_backbone("vision", "test_vit", path)


@pytest.mark.parametrize("name, message", [("w.pt", r"w\.pt .*\.safetensors"), ("none.safetensors", "none")])
def test_refuses_other_files(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"pickle")
    with pytest.raises(UserError, match=message):
        load_backbone("vision", "test_vit", str(tmp_path / name))


@pytest.mark.parametrize(
    "name, message",
    [
        ("vit_tiny_patch16_225", "vit_tiny_patch16_225: did you mean vit_tiny_patch16_224"),
        ("vision_lite22", "did you mean vision_lite2"),
        ("quite another thing", "expected vision_lite2 or a name of timm"),
        ("vit_tiny_patch16_224", f"tag: did you mean {PRETRAINED}"),
        ("vit_tiny_patch16_224.augreg_in22k", f"tag: did you mean {PRETRAINED}"),
        ("resnet18.a1_in1k", "is a ResNet"),
        ("eva02_enormous_patch14_clip_224.laion2b", r"unsupported blocks \(EvaBlockPostNorm with EvaAttention\)"),
    ],
)
def test_refuses_unsupported_names(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_backbone("vision", name)


def test_an_unknown_tag_is_refused_with_a_file_too(tmp_path: Path) -> None:
    save_file({"any": torch.zeros(1)}, tmp_path / "any.safetensors")
    with pytest.raises(UserError, match=r"vit_tiny_patch16_224\.mine"):
        load_backbone("vision", "vit_tiny_patch16_224.mine", str(tmp_path / "any.safetensors"))


def without_network(*given: object) -> object:
    raise OSError("We couldn't connect\nto any hub")


def test_a_failed_download_is_one_line_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "fetch", without_network)
    with pytest.raises(UserError, match=PRETRAINED) as caught:
        load_backbone("vision", PRETRAINED)
    assert "\n" not in str(caught.value)


def test_a_hub_tower_comes_without_classifier_and_knows_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, asked = random_tower(), []

    def fetch(*given: object) -> HubFile:
        asked.append(given)
        return HubFile(Path(saved(tmp_path / "model.safetensors", tower)), "timm/test_vit.r160_in1k", "c0ffee")

    monkeypatch.setattr(vision, "fetch", fetch)
    backbone = load_backbone("vision", "test_vit.r160_in1k", image_size=64, revision="c0ffee")
    assert asked == [("timm/test_vit.r160_in1k", ("model.safetensors", "pytorch_model.bin"), "c0ffee")]
    assert backbone.feature_width == 64
    assert backbone.preprocessing.size == (64, 64)
    assert (backbone.name, backbone.revision) == ("test_vit.r160_in1k", "timm/test_vit.r160_in1k@c0ffee")
    tower.reset_classifier(0)
    assert backbone.fingerprint == fingerprint(tower)
