"""Names that no backbone has: the message has the closest of all names of timm and open_clip."""

import pytest

from lptpp.backbones.inputs import preprocessing_of
from lptpp.backbones.load import load_backbone
from lptpp.backbones.names import known_names
from lptpp.utils.errors import UserError

MEANT = [  # kind, what was written, what the message suggests
    ("vision", "convnxt_base", "did you mean convnext_base.fb_in22k_ft_in1k,"),
    ("vision", "ConvNeXt_Base", "did you mean convnext_base.fb_in22k_ft_in1k,"),
    ("vision", "ResNet-50", "did you mean resnet50.a1_in1k,"),
    ("vision", "vit_base_patch15_dinov3.lvd1689m", "did you mean vit_base_patch16_dinov3.lvd1689m,"),
    ("vision", "vision_lite3", "did you mean vision_lite2"),
    ("vision", "dinov3", "names contain it, and `lptpp backbones dinov3` lists them."),
    ("vision", "ViT-B-16", "did you mean ViT-B-16 with backbone.kind=language?"),
    ("vision", "of another kind", "expected vision_lite2 or a name of timm: `lptpp backbones PATTERN` lists them."),
    ("language", "vit-b-16-siglip2", "did you mean ViT-B-16-SigLIP2,"),
    ("language", "resnet101", "did you mean resnet101.a1h_in1k with backbone.kind=vision?"),
    ("language", "clip_lite", "did you mean clip_lite0?"),
    ("language", "of another kind", "expected clip_lite0 or a name of open_clip"),
]


@pytest.mark.parametrize("prompts", [True, False])
@pytest.mark.parametrize("kind, written, suggested", MEANT)
def test_the_closest_names_of_both_libraries_are_suggested(
    kind: str, written: str, suggested: str, prompts: bool
) -> None:
    with pytest.raises(UserError) as caught:
        load_backbone(kind, written, "tag" if kind == "language" else None, prompts=prompts)
    assert str(caught.value).startswith(
        f"Unknown {'vision' if kind == 'vision' else 'vision-language'} backbone {written}: "
    )
    assert suggested in str(caught.value)
    with pytest.raises(UserError) as again:
        preprocessing_of(kind, written, "tag" if kind == "language" else None)
    assert str(again.value) == str(caught.value)


def test_names_without_a_tag_stand_for_the_default_weights() -> None:
    known = known_names("vision")
    assert known["resnet18"] == "resnet18.a1_in1k"
    assert "resnet50t" not in known  # no pretrained weights


@pytest.mark.parametrize("kind, name", [("vision", "test_vit4"), ("language", "ViT-M-16")])
def test_a_model_without_pretrained_weights_needs_a_file(kind: str, name: str) -> None:
    with pytest.raises(
        UserError, match=rf"Backbone {name} has no pretrained weights: set backbone\.weights to a local"
    ):
        load_backbone(kind, name)
