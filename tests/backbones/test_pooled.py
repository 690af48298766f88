"""Backbones without prompts: any timm model and any open_clip model, frozen, as one feature per image."""

import copy
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.mlp_mixer import MlpMixer
from torch import nn

from lptpp.backbones.base import fingerprint
from lptpp.backbones.language import from_clip
from lptpp.backbones.load import load_backbone
from lptpp.backbones.pooled import PooledTower, pooled_width
from lptpp.backbones.supported import no_prompts
from lptpp.backbones.text import load_tokenizer
from lptpp.config import ExpertSettings
from lptpp.models.build import adapted, encoder_of
from lptpp.models.expert import Expert
from lptpp.models.pooled import PooledEncoder
from lptpp.training.loop import train_only
from lptpp.utils.errors import UserError
from tests.backbones.test_convert import JOINT, NAMES, TEMPLATES, TEXT, VISION, zero_shot_logits
from tests.towers import build_clip

CLASSES = 5
WITHOUT_PROMPTS = {"shared_prompts": 0, "group_prompts": 0}
MODELS = ["test_resnet", "test_convnext", "test_efficientnet", "test_nfnet"]
CLIPS = {
    "ResNet": {**VISION, "layers": [1, 1, 1, 1], "width": 16},
    "attentional pooling": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2},
    "timm": {"image_size": 160, "timm_model_name": "test_resnet", "timm_pool": "avg"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def saved(folder: Path, name: str) -> str:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    if not path.exists():
        save_file({key: one.contiguous() for key, one in timm.create_model(name).state_dict().items()}, path)
    return str(path)


@pytest.mark.parametrize("size", [None, 96])
@pytest.mark.parametrize("name", MODELS)
def test_a_tower_gives_timms_pooled_feature_and_stays_in_evaluation(name: str, size: int | None, folder: Path) -> None:
    backbone = load_backbone("vision", name, saved(folder, name), size, prompts=False)
    model = timm.create_model(name, checkpoint_path=saved(folder, name)).eval()
    images = torch.randn(2, 3, *backbone.preprocessing.size)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        torch.testing.assert_close(backbone.tower.train()(images), expected)
    assert expected.std() > 1e-3
    assert backbone.feature_width == expected.shape[1]
    assert backbone.preprocessing.size == ((160, 160) if size is None else (size, size))
    assert not any(parameter.requires_grad for parameter in backbone.tower.parameters())
    assert not any(module.training for module in backbone.tower.modules())


def test_a_window_tower_changes_its_size_or_says_that_it_cannot() -> None:
    swin = {"img_size": 64, "patch_size": 4, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)}
    model = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0, **swin)
    tower = PooledTower(model, model.num_features)
    tower.set_input_size(96, "swin")
    assert tower(torch.randn(1, 3, 96, 96)).shape == (1, 24)
    mixer = MlpMixer(num_classes=0, img_size=32, patch_size=8, embed_dim=8, num_blocks=1)
    with pytest.raises(UserError, match=r"^image_size=40 of mixer is not possible \(.*\): remove it"):
        PooledTower(mixer, mixer.num_features).set_input_size(40, "mixer")


SAM = {"img_size": 64, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "window_size": 3, "neck_chans": 10}


@pytest.mark.parametrize("size", [64, 96])
def test_sam_is_an_expert_without_prompts(size: int) -> None:
    model = timm.create_model("samvit_base_patch16", num_classes=0, global_attn_indexes=(1,), **SAM).eval()
    assert no_prompts(model) == "is a VisionTransformerSAM: prompts need a ViT whose blocks attend to all tokens"
    tower, images = PooledTower(model, model.num_features), torch.randn(2, 3, size, size)
    tower.set_input_size(size, "sam")
    maps = model.forward_features(images)  # (B, F, H, W)
    torch.testing.assert_close(tower(images), maps.mean((2, 3)))
    settings = ExpertSettings(adapter_width=2, **WITHOUT_PROMPTS)
    assert encoder_of(tower, settings)(images).feature.shape == (2, 10)


def test_what_is_no_vector_per_image_is_refused() -> None:
    with pytest.raises(UserError, match="Backbone maps does not map an image to one vector"):
        pooled_width(nn.Flatten(0), (8, 8), "maps")


class Encoder(nn.Module):
    """Returns feature maps (B, H, W, F), or (B, F, H, W), or tokens (B, N, F)."""

    def __init__(self, output_fmt: str) -> None:
        super().__init__()
        self.output_fmt = output_fmt
        self.patches = nn.Conv2d(3, 5, 4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.patches(images)
        return {"NCHW": maps, "NHWC": maps.permute(0, 2, 3, 1), "NLC": maps.flatten(2).mT}[self.output_fmt]


@pytest.mark.parametrize("output_fmt", ["NCHW", "NHWC", "NLC"])
def test_encoders_without_pooling_are_averaged_over_positions(output_fmt: str) -> None:
    model = Encoder(output_fmt)
    tower, images = PooledTower(model, 5), torch.randn(2, 3, 8, 12)
    expected = torch.stack([model.patches(one[None])[0].flatten(1).mean(1) for one in images])
    torch.testing.assert_close(tower(images), expected)
    assert pooled_width(Encoder(output_fmt).to("meta"), (8, 12), "encoder") == 5


def test_with_prompts_the_message_names_the_way_out_before_any_download() -> None:
    for kind, name, weights in [("vision", "resnet18.a1_in1k", None), ("language", "RN50-quickgelu", "openai")]:
        with pytest.raises(UserError, match=r"ResNet: .*shared_prompts=0 and group_prompts=0 .* any model is accepted"):
            load_backbone(kind, name, weights)


def pooled_clip(vision: dict) -> tuple[nn.Module, object]:
    """Return an open_clip model and its backbone without prompts."""
    torch.manual_seed(0)
    model = build_clip({"embed_dim": JOINT, "vision_cfg": vision, "text_cfg": TEXT}).eval()
    size = vision["image_size"]
    model.visual.preprocess_cfg = {"size": size, "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic"}
    width = pooled_width(copy.deepcopy(model.visual).to("meta"), (size, size), "Tiny")
    tokenizer = load_tokenizer("ViT-B-32")
    tokenizer.context_length = TEXT["context_length"]
    return model, from_clip("Tiny", copy.deepcopy(model), tokenizer, width)


@pytest.mark.parametrize("kind", CLIPS)
def test_before_training_an_expert_without_prompts_is_zero_shot_clip(kind: str) -> None:
    model, backbone = pooled_clip(CLIPS[kind])
    settings = ExpertSettings(adapter_width=4, head="text", **WITHOUT_PROMPTS)
    expert = adapted(backbone, settings, len(NAMES))
    expert.heads[0].start_from(backbone.text.class_vectors(NAMES, TEMPLATES))
    images = torch.randn(3, 3, *backbone.preprocessing.size)
    with torch.no_grad():
        expected = zero_shot_logits(model, images)
        torch.testing.assert_close(backbone.text.logit_scale * expert(images).cosines, expected, atol=1e-4, rtol=1e-4)
    assert backbone.feature_width == JOINT
    assert expected.std() > 1e-2


def pooled_expert(folder: Path, **changes: object) -> Expert:
    torch.manual_seed(1)
    backbone = load_backbone("vision", "test_resnet", saved(folder, "test_resnet"), 64, prompts=False)
    return adapted(backbone, ExpertSettings(**{"adapter_width": 3, **WITHOUT_PROMPTS, **changes}), CLASSES)


def step(expert: Expert) -> None:
    own = list(expert.phase_parameters(1))
    train_only(expert, own)
    optimizer = torch.optim.SGD(own, lr=0.5)
    for _ in range(2):  # in the first step, `up` is zero and gives `down` no gradient
        optimizer.zero_grad()
        images = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(2))
        F.cross_entropy(20 * expert.phase1(images, 0.1).cosines, torch.arange(6) % CLASSES).backward()
        optimizer.step()


def test_training_changes_the_adapter_and_the_classifier_alone(folder: Path) -> None:
    expert = pooled_expert(folder)
    before = copy.deepcopy(expert.state_dict())
    step(expert)
    changed = {name for name, tensor in expert.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == set(expert.tuned_state())
    assert changed == {f"encoder.adapters.{part}.{kind}" for part in ("up", "down") for kind in ("weight", "bias")} | {
        "heads.0.weight"
    }
    assert fingerprint(expert.encoder.tower) == expert.backbone.fingerprint
    assert list(expert.tuned_parts()) == ["adapters", "classifier"]


def test_the_trained_feature_is_the_literal_formula(folder: Path) -> None:
    expert = pooled_expert(folder, adapter_scale=0.3)
    step(expert)
    images, adapter = torch.randn(2, 3, 64, 64), expert.encoder.adapters
    with torch.no_grad():
        found = expert(images)
        for image, feature, cosines in zip(images, found.feature, found.cosines, strict=True):
            f = expert.backbone.tower(image[None])[0]
            h = f / (f.square().mean() + torch.finfo(torch.float32).eps).sqrt()
            hidden = (adapter.down.weight @ h + adapter.down.bias).relu()
            expected = h + 0.3 * (adapter.up.weight @ hidden + adapter.up.bias)
            torch.testing.assert_close(feature, expected)
            torch.testing.assert_close(cosines, F.cosine_similarity(expected[None], expert.heads[0].weight))
        assert torch.equal(expert.encoder.frozen().query_feature(images), expert.backbone.tower(images))


def test_fine_tuning_changes_weights_but_not_the_statistics_of_batch_norms(folder: Path) -> None:
    expert = pooled_expert(folder, adapter_width=0, tune_backbone=True)
    before = copy.deepcopy(expert.state_dict())
    step(expert)
    same = {name for name, tensor in expert.state_dict().items() if torch.equal(tensor, before[name])}
    assert same == {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert set(expert.tuned_state()) == set(before)


def test_a_vit_keeps_its_adapters_in_the_blocks() -> None:
    tower = timm.create_model("test_vit", num_classes=0)
    assert not isinstance(encoder_of(tower, ExpertSettings(**WITHOUT_PROMPTS)), PooledEncoder)
