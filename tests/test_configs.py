from pathlib import Path

import open_clip
import pytest
import timm
import torch
from omegaconf import OmegaConf
from open_clip.pretrained import list_pretrained_tags_by_model

from lptpp.backbones.base import BUNDLED
from lptpp.config import load_settings, saved_settings, to_dictionary
from lptpp.config.methods import METHODS
from lptpp.models.encoder import AdaptedEncoder

FOLDER = Path(__file__).parent.parent / "configs"
SHIPPED = sorted(FOLDER.glob("*.yaml"))
PARTS = ("shared_prompts", "group_prompts", "pool", "chosen", "group_blocks", "adapter_width")
NAMES = {
    "emoji",
    "folder",
    "grocery",
    "grocery_lt",
    "table",
    "huggingface",
    "webdataset",
    "cifar10_lt",
    "cifar100_lt",
    "cifar100_lt_if50",
    "cifar100_lt_if10",
    "imagenet_lt",
    "places_lt",
    "inat2018",
    "vit_base",
}


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


def test_every_promised_setting_is_shipped():
    assert {path.stem for path in SHIPPED} == NAMES


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_opens_with_its_command_hardware_time_and_score(path: Path):
    text = header(path)
    assert f"lptpp fit configs/{path.name}" in text
    for word in ("Hardware:", "Time:", "Expected score:"):
        assert word in text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_parses_with_every_method_and_survives_a_round_trip(path: Path, method: str, tmp_path: Path):
    settings = load_settings(path, [f"method={method}"])
    saved = tmp_path / "saved.yaml"
    OmegaConf.save(OmegaConf.structured(settings), saved)
    assert to_dictionary(saved_settings(saved)) == to_dictionary(settings)
    assert settings.method == method


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_its_backbones_and_pretrained_weights_exist_by_these_names(path: Path):
    for expert in load_settings(path).experts.values():
        backbone = expert.backbone
        if backbone.name in BUNDLED.values():
            assert backbone.name == BUNDLED[backbone.kind]
        elif backbone.kind == "vision":
            assert backbone.name in timm.list_pretrained()
        else:
            assert backbone.name in open_clip.list_models()
            assert backbone.weights in list_pretrained_tags_by_model(backbone.name)


@pytest.mark.parametrize("name", ["imagenet_lt", "places_lt", "inat2018"])
def test_the_large_benchmarks_carry_the_published_values_but_shorter_group_prompts(name: str):
    settings = load_settings(FOLDER / f"{name}.yaml")
    for expert in settings.experts.values():
        assert (expert.pool, expert.chosen, expert.group_prompts, expert.shared_prompts) == (20, 2, 8, 10)
        assert (expert.group_blocks, expert.scale) == (6, 20.0)
    for phase in (settings.phase1, settings.phase2):
        assert (phase.optimizer, phase.learning_rate, phase.weight_decay, phase.warmup_epochs) == ("sgd", 0.02, 0.01, 1)
    main, dual = settings.phase2.main, settings.phase2.dual
    assert (main.sampler, main.loss.options) == ("class_balanced", {"positive_focus": 0.0, "negative_focus": 4.0})
    assert (dual.sampler, dual.loss.options) == ("instance_balanced", {"positive_focus": 0.5, "negative_focus": 8.0})
    assert (main.loss.name, dual.loss.name, dual.weight) == ("a_gcl", "a_gcl", 0.5)


@pytest.mark.parametrize("name", ["visual", "language"])
def test_an_expert_on_vit_base_tunes_about_a_hundredth_of_its_backbone(name: str):
    settings = load_settings(FOLDER / "vit_base.yaml").experts[name]
    with torch.device("meta"):
        tower = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=0)
        encoder = AdaptedEncoder(tower, **{part: getattr(settings, part) for part in PARTS})
    frozen = sum(parameter.numel() for parameter in tower.parameters())
    tuned = sum(parameter.numel() for parameter in encoder.parameters()) - frozen
    assert tuned == 92_160 + 20 * 768 + 20 * 6 * 8 * 768 + 12 * (2 * 4 * 768 + 4 + 768)
    assert 0.01 < tuned / frozen < 0.012
