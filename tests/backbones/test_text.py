import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from lptpp.backbones import language, text
from lptpp.backbones.load import load_backbone
from lptpp.backbones.templates import TEMPLATES, expanded
from lptpp.backbones.text import TextTower, load_tokenizer, simple_tokenizer
from lptpp.config import BackboneSettings, ExpertSettings, Settings
from lptpp.config.choices import TEMPLATE_NAMES
from lptpp.config.validate import check_environment
from lptpp.utils.errors import UserError
from tests.towers import build_clip

VISION = {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}


def make_tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(build_clip({"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT}), simple_tokenizer(16))


def encode(tower: TextTower, text: str) -> torch.Tensor:
    """Return the unit feature (F,) of a text."""
    with torch.no_grad():
        return F.normalize(tower.model.encode_text(tower.tokenizer([text]))[0], dim=0)


def test_class_vectors_do_not_depend_on_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    tower, names, templates = make_tower(), list("abcdefg"), ["{}", "an image of {}"]
    whole = tower.class_vectors(names, templates)
    assert whole.shape == (7, 8)
    torch.testing.assert_close(whole.norm(dim=-1), torch.ones(7))
    for texts in (1, 6):
        monkeypatch.setattr(text, "TEXTS", texts)
        torch.testing.assert_close(tower.class_vectors(names, templates), whole)


def test_class_vectors_equal_a_loop() -> None:
    tower, names, templates = make_tower(), ["tree_frog", "{odd} name", "sky"], ["{}", "a {} or two {}", "no more {}!"]
    found = tower.class_vectors(names, templates)
    for name, row in zip(names, found, strict=True):
        parts = [encode(tower, template.replace("{}", name.replace("_", " "))) for template in templates]
        torch.testing.assert_close(row, F.normalize(sum(parts) / 3, dim=0))
    assert not found.is_inference()


@pytest.mark.parametrize("template", ["", "a photo", "a photo of { }", "%s"])
def test_refuses_a_template_without_braces(template: str) -> None:
    with pytest.raises(UserError, match=r"\{\}"):
        make_tower().class_vectors(["a"], ["a {}", template])


def test_the_logit_scale_is_the_models() -> None:
    assert make_tower().logit_scale == pytest.approx(1 / 0.07)


def test_siglip_gives_every_class_a_probability_of_its_own() -> None:
    """sigmoid(scale · cos + bias), literally; the text tower of CLIP has a softmax."""
    torch.manual_seed(0)
    configuration = {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT, "init_logit_bias": -3.0}
    siglip, clip = TextTower(build_clip(configuration), simple_tokenizer(16)), make_tower()
    assert (siglip.logit_bias, clip.logit_bias) == (-3.0, None)
    cosines = torch.tensor([[0.2, -0.1, 0.05], [0.0, 0.3, 0.3]])
    for row, found in zip(cosines.tolist(), siglip.probabilities(cosines).tolist(), strict=True):
        for cosine, probability in zip(row, found, strict=True):
            assert probability == pytest.approx(1 / (1 + math.exp(3 - siglip.logit_scale * cosine)), rel=1e-4)
    torch.testing.assert_close(clip.probabilities(cosines).sum(-1), torch.ones(2))
    assert clip.probabilities(cosines).argmax(-1)[0] == siglip.probabilities(cosines).argmax(-1)[0] == 0


def test_the_sets_of_templates_by_name() -> None:
    assert tuple(TEMPLATES) == TEMPLATE_NAMES
    assert [len(TEMPLATES[name]) for name in ("imagenet", "simple", "small_images", "textures")] == [80, 7, 18, 8]
    for name, templates in TEMPLATES.items():
        assert len(set(templates)) == len(templates), name
        assert all(one.count("{}") == 1 and one.endswith((".", "}")) for one in templates), name
    assert expanded(["birds", "a {}"]) == ["a photo of a {}, a type of bird.", "a {}"]
    assert TEMPLATES["small_images"][1] == "a blurry photo of a {}."
    assert TEMPLATES["small_images"][-1] == "a photo of the big {}."
    tower = make_tower()
    by_name, written = (tower.class_vectors(["cat"], one) for one in (["scenes"], TEMPLATES["scenes"]))
    assert torch.equal(by_name, written)


@pytest.mark.parametrize("template", ["a photo", "image_net", "imagenet "])
def test_a_template_of_the_settings_is_a_text_with_braces_or_a_name(template: str) -> None:
    with pytest.raises(UserError, match=r"templates: .* has no \{\}; .* or name a set"):
        Settings(experts={"a": ExpertSettings(templates=["{}", template])})
    Settings(experts={"a": ExpertSettings(templates=["imagenet", "the {}"])})


def test_a_missing_module_is_told_as_a_missing_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name, weights in [("ViT-B-16-SigLIP2", "webli"), ("roberta-ViT-B-32", "laion2b_s12b_b32k")]:
        with pytest.raises(
            UserError, match=rf"text tower of {name} requires an extra: run pip install \"lptpp\[text\]\""
        ):
            load_backbone("language", name, weights)


def test_the_tokenizer_comes_before_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(*given: object) -> None:
        asked.append(str(given[0]))
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "transformers", ModuleType("transformers"))
    monkeypatch.setattr(text, "fetch_tokenizer", refuse)
    monkeypatch.setattr(language, "fetch", refuse)
    with pytest.raises(UserError, match=r"tokenizer of ViT-B-16-SigLIP2 .*: check the network, or set backbone\.tok"):
        load_backbone("language", "ViT-B-16-SigLIP2", "webli")
    assert asked == ["timm/ViT-B-16-SigLIP2"]


def test_a_local_tokenizer_is_read_with_the_options_of_the_model(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("transformers")
    words = {"[PAD]": 0, "[UNK]": 1, "a": 2, "cat": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    found = load_tokenizer("ViT-B-16-SigLIP2", str(tmp_path))(["A cat!", "a dog"])
    assert found.shape == (2, 64)  # canonical: lower case, no punctuation
    assert found[:, :3].tolist() == [[2, 3, 0], [2, 1, 0]]


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match=r"The tokenizer of ViT-B-32 in .* cannot be read"):
        load_tokenizer("ViT-B-32", str(tmp_path))


def test_the_tokenizer_of_the_settings_is_a_folder_of_a_language_backbone(tmp_path: Path) -> None:
    vision = BackboneSettings(tokenizer=str(tmp_path))
    with pytest.raises(UserError, match=r"experts\.a\.backbone\.tokenizer is for a backbone of kind language"):
        Settings(experts={"a": ExpertSettings(backbone=vision)})
    missing = BackboneSettings(kind="language", name="clip_lite0", tokenizer=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"experts\.a\.backbone\.tokenizer=.*none: folder not found"):
        check_environment(Settings(experts={"a": ExpertSettings(backbone=missing)}))
