import re
from functools import cache
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from omegaconf import OmegaConf
from open_clip.pretrained import list_pretrained_tags_by_model

from lptpp.backbones.card_files import BUNDLED
from lptpp.config import Settings, load_settings, saved_settings, to_dictionary, to_yaml
from lptpp.config.methods import METHODS
from lptpp.config.resolve import FOLDER, SPACES, header, preset_header, presets, spaces, write_copy
from lptpp.models.encoder import AdaptedEncoder
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError
from tests import golden

SHIPPED = sorted(FOLDER.glob("*.yaml"))
PARTS = ("shared_prompts", "group_prompts", "num_groups", "top_k", "group_blocks", "adapter_width")
NAMES = {
    "emoji",
    "folder",
    "folder_photos",
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
    "clip_in21k",
    "dinov3_siglip2",
    "eva02_pe",
    "lpt_base",
    "lpt_cifar100",
    "lpt_inat",
    "lpt_places",
    "lptpp_inat",
    "lptpp_places",
}
PUBLISHED = sorted(name for name in NAMES if name.startswith("lpt"))


@cache  # it takes a while to sort them
def pretrained() -> list[str]:
    return timm.list_pretrained()


@cache  # tests only read them
def shipped(name: str) -> Settings:
    return load_settings(name)


def test_every_promised_setting_is_shipped():
    assert {path.stem for path in SHIPPED} == NAMES


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_opens_with_its_command_hardware_time_and_score(path: Path):
    text = "\n".join(header(path))
    assert f"lptpp fit {path.stem}" in text
    for word in ("Hardware:", "Time:", "Expected score:"):
        assert word in text
    assert presets()[path.stem] == text.splitlines()[0].removeprefix("# ")
    assert len(presets()[path.stem]) < 120


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_parses_with_every_method_and_survives_a_round_trip(path: Path, tmp_path: Path):
    saved = tmp_path / "saved.yaml"
    for method in METHODS if "experts" in OmegaConf.load(path) else [shipped(path.stem).method]:
        settings = load_settings(path, [f"method={method}"])
        saved.write_text(to_yaml(settings), encoding="utf-8")
        assert to_dictionary(saved_settings(saved)) == to_dictionary(settings), method
        assert settings.method == method


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_its_backbones_and_pretrained_weights_exist_by_these_names(path: Path):
    for expert in shipped(path.stem).experts.values():
        backbone = expert.backbone
        if backbone.name in BUNDLED.values():
            assert backbone.name == BUNDLED[backbone.kind]
        elif backbone.kind == "vision":
            assert backbone.name in pretrained()
        else:
            assert backbone.name in open_clip.list_models()
            assert backbone.weights in list_pretrained_tags_by_model(backbone.name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_presets_carry_the_published_values(name: str):
    settings = shipped(name)
    assert settings.method == name.split("_")[0]
    assert list(settings.experts) == (["visual"] if settings.method == "lpt" else ["visual", "language"])
    for expert in settings.experts.values():
        assert (expert.num_groups, expert.top_k, expert.group_prompts, expert.shared_prompts) == (20, 2, 10, 10)
        assert (expert.group_blocks, expert.scale) == (6, 20.0)
        assert expert.adapter_width == (0 if settings.method == "lpt" else 4)
        assert (expert.backbone.resize, expert.backbone.crop_share) == ("squash", 224 / 256)
    assert settings.experts["visual"].backbone.name == "vit_base_patch16_224.augreg_in21k"
    for phase in (settings.phase1, settings.phase2):
        assert (phase.optimizer, phase.learning_rate, phase.weight_decay, phase.warmup_epochs) == ("sgd", 0.02, 0.01, 1)
        assert phase.dropout == 0.1
        assert phase.warmup_rate < phase.learning_rate / 50
        main, dual = phase.main, phase.dual
        rest = {"margin": 0.1, "noise": 0.5, "smoothing": 0.1}
        assert (main.sampler, dual.sampler) == ("class_aware", "instance_balanced")
        assert main.loss.options == {"positive_focus": 0.0, "negative_focus": 4.0} | rest
        assert dual.loss.options == {"positive_focus": 0.5, "negative_focus": 8.0} | rest
        assert (main.loss.name, dual.loss.name, dual.weight) == ("a_gcl", "a_gcl", 0.5)
    assert settings.evaluation.shot_thresholds == [21, 100]
    assert settings.augmentation.smallest_crop == 0.08


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_preset_trains_a_phase_with_balancing_loss_and_balanced_batches_alone(path: Path):
    settings = shipped(path.stem)
    for phase in (settings.phase1, settings.phase2):
        twice = phase.main.loss.name != "cross_entropy" and phase.main.sampler.startswith("class_")
        assert not twice or phase.dual.weight > 0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_its_header_is_printed_with_those_of_the_presets_it_extends(path: Path):
    extended = [path.stem]
    while parent := OmegaConf.load(FOLDER / f"{extended[-1]}.yaml").get("extends"):
        extended.append(Path(parent).stem)
    text = preset_header(path.stem)
    assert re.findall("^Extends (.*):$", text, flags=re.MULTILINE) == extended[1:]
    for line in (line for name in extended for line in header(FOLDER / f"{name}.yaml")):
        assert f"\n{line[2:]}\n" in f"\n{text}\n"


@pytest.mark.parametrize("name", ["visual", "language"])
@pytest.mark.parametrize("preset, length, percent", [("vit_base", 8, "1.08"), ("lpt_base", 10, "1.30")])
def test_an_expert_on_vit_base_tunes_as_much_of_its_backbone_as_the_header_says(preset, length, percent, name):
    settings = load_settings(preset, ["method=lptpp"]).experts[name]
    with torch.device("meta"):
        tower = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=0)
        encoder = AdaptedEncoder(tower, **{part: getattr(settings, part) for part in PARTS})
    frozen = sum(parameter.numel() for parameter in tower.parameters())
    tuned = sum(parameter.numel() for parameter in encoder.parameters()) - frozen
    assert tuned == 92_160 + 20 * 768 + 20 * 6 * length * 768 + 12 * (2 * 4 * 768 + 4 + 768)
    assert f"{100 * tuned / frozen:.2f}" == percent
    assert f"{percent}%" in preset_header(preset)


def test_the_published_settings_train_on_tiny_towers(pictures, cards, tmp_path):
    tiny = [f"run={tmp_path}", "method=lptpp", f"data.root={pictures}", "workers=0", "phase3.epochs=1"]
    tiny += ["phase1.epochs=1", "phase2.epochs=1"]
    for name, tower in (("visual", "vision_random"), ("language", "clip_random")):
        backbone = f"experts.{name}.backbone"
        tiny += [f"{backbone}.name={tower}", f"{backbone}.weights={cards}/{tower}.safetensors"]
        tiny += [f"experts.{name}.group_blocks=2"]
    rows = [f"{name}.{phase}" for name in ("visual", "language") for phase in ("phase1", "phase2")]
    assert list(fit(load_settings("lpt_base", tiny)).metrics["rows"]) == [*rows, "average", "mixture"]


def test_a_preset_is_found_by_its_name_and_a_file_of_this_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_settings("emoji") == load_settings(FOLDER / "emoji.yaml") == load_settings("emoji.yaml")
    (tmp_path / "emoji").write_text("seed: 5")
    assert load_settings("emoji").seed == 5


@pytest.mark.parametrize(
    "name, words",
    [
        ("emoij", "did you mean emoji"),
        ("configs/emoij.yaml", "did you mean emoji"),
        ("nowhere/nothing", "lptpp presets"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_preset(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        load_settings(name)
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["phtos", "phtos/", "./phtos", "Photos"])
def test_a_mistyped_folder_is_answered_with_the_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    with pytest.raises(UserError, match=r"folder .*: did you mean photos\?"):
        load_settings(name)


@pytest.mark.parametrize("name", ["my images", "my images/", "./my images", "2024"])
def test_a_folder_of_images_takes_the_preset_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name, "oak").mkdir(parents=True)
    settings, preset = load_settings(name, ["seed=3"]), to_dictionary(load_settings("folder"))
    assert (settings.run, settings.data.root) == (f"runs/{Path(name).name}", name)
    preset["data"]["root"], preset["run"], preset["seed"] = settings.data.root, settings.run, 3
    assert to_dictionary(settings) == preset
    assert load_settings(name, ["run=elsewhere", "data.root=other"]).run == "elsewhere"
    monkeypatch.chdir(name)
    assert load_settings(".").run == f"runs/{Path(name).name}"


def test_the_bare_name_of_a_preset_is_the_preset_even_where_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("grocery", "train").mkdir(parents=True)
    assert load_settings("grocery").evaluation.shot_thresholds == [21, 60]
    assert load_settings("grocery/").data.root == "grocery/"


def test_a_run_folder_stands_for_its_settings(tmp_path):
    settings = load_settings("emoji", ["method=lpt", "seed=4"])
    (tmp_path / "config.yaml").write_text(to_yaml(settings))
    found = load_settings(tmp_path)
    assert found.run == str(tmp_path)
    assert to_dictionary(found) | {"run": settings.run} == to_dictionary(settings)
    assert load_settings(tmp_path, ["run=other"]).run == "other"
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "checkpoint" / "step-1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"config\.yaml"):
        load_settings(tmp_path)


def test_a_file_can_extend_a_preset_and_its_neighbor_comes_first(tmp_path):
    for parent in ("grocery.yaml", "grocery"):
        (tmp_path / "mine.yaml").write_text(f"extends: {parent}\nseed: 2")
        assert load_settings(tmp_path / "mine.yaml").evaluation.shot_thresholds == [21, 60]
    (tmp_path / "grocery.yaml").write_text("extends: grocery\nphase3: {hidden: 3}")
    (tmp_path / "mine.yaml").write_text("extends: grocery.yaml")
    assert load_settings(tmp_path / "mine.yaml").phase3.hidden == 3
    (tmp_path / "mine.yaml").write_text("extends: grocry.yaml")
    with pytest.raises(UserError, match="did you mean grocery"):
        load_settings(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_copy_has_the_settings_of_the_preset_and_a_run_folder_of_its_own(name, tmp_path):
    path = tmp_path / "new" / "mine.yaml"
    write_copy(name, path)
    copied, preset = to_dictionary(load_settings(path)), to_dictionary(shipped(name))
    if name not in ("vit_base", "lpt_base"):  # they name no run folder
        assert copied["run"] == "runs/mine"
    assert copied | {"run": ""} == preset | {"run": ""}
    assert f"lptpp fit {path}" in path.read_text()
    assert f"lptpp fit {name}\n" not in path.read_text()


def test_the_comments_of_a_copy_are_the_settings_that_it_inherits(tmp_path):
    path = tmp_path / "mine.yaml"
    write_copy("grocery_lt", path)
    text = path.read_text()
    blocks = text.split("\n# Inherited from the preset ")[1:]
    assert [block.split(";")[0] for block in blocks] == ["grocery", "folder", "emoji"]
    merged = OmegaConf.create()
    for block in reversed(blocks):
        lines = [line.removeprefix("# ") for line in block.splitlines()[1:]]
        merged = OmegaConf.merge(merged, OmegaConf.create("\n".join(lines)))
    (tmp_path / "whole.yaml").write_text(OmegaConf.to_yaml(OmegaConf.merge(merged, {"run": "runs/grocery"})))
    assert load_settings(tmp_path / "whole.yaml") == load_settings("grocery")


def test_a_copy_overwrites_nothing_and_its_preset_exists(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 1")
    with pytest.raises(UserError, match=r"mine\.yaml exists"):
        write_copy("folder", path)
    with pytest.raises(UserError, match="did you mean folder"):
        write_copy("foldr", tmp_path / "new.yaml")
    with pytest.raises(UserError, match="did you mean folder"):
        preset_header("foldr")
    with pytest.raises(UserError, match=r"expected the name of a \.yaml file"):
        write_copy("folder", tmp_path / "mine.yml.txt")
    write_copy(f"{SPACES}/lptpp", tmp_path / "space.yaml")
    assert OmegaConf.load(tmp_path / "space.yaml") == OmegaConf.load(FOLDER / SPACES / "lptpp.yaml")
    assert path.read_text() == "seed: 1"


def test_the_lines_of_the_list():
    lines = [f"{name}: {headline}" for name, headline in (presets() | spaces()).items()]
    golden.check("presets", "\n".join(lines) + "\n")
