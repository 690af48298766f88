import pytest
import torch
import torch.nn.functional as F

from lptpp.backbones import text
from lptpp.backbones.language import build_clip, simple_tokenizer
from lptpp.backbones.text import TextTower
from lptpp.utils.errors import UserError

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
