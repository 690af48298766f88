"""The list of `lptpp backbones`: names, facts without weights, and reasons."""

import socket
import sys

import pytest
import timm
from rich.console import Console

from lptpp.backbones import catalog
from lptpp.backbones.catalog import Facts, Name, facts, matching
from lptpp.backbones.language import empty_image_tower, empty_model
from lptpp.console.backbones import cells, of_presets, show_backbones
from lptpp.utils.errors import UserError


def test_a_pattern_is_a_part_of_a_name_or_tag() -> None:
    assert [str(one) for one in matching("VISION_lite")] == ["vision_lite2"]
    assert Name("vision", "vit_base_patch16_dinov3.lvd1689m") in matching("base*dinov3")
    assert Name("language", "ViT-B-16-SigLIP2", "webli") in matching("siglip2 webli")
    assert matching("no such model") == []
    assert len(matching("*")) > 1900


def test_facts_of_a_timm_model_are_timms() -> None:
    vit, resnet = facts(Name("vision", "test_vit.r160_in1k")), facts(Name("vision", "test_resnet.r160_in1k"))
    assert (vit.pixels, vit.license, vit.no_prompts) == (160, "apache-2.0", None)
    assert 0.3e6 < vit.parameters < 0.5e6
    assert resnet.no_prompts.startswith("is a ResNet: prompts need a ViT")


@pytest.mark.parametrize(
    "name, license",
    [
        (Name("vision", "vit_base_patch16_dinov3.lvd1689m"), "dinov3-license"),
        (Name("vision", "cpubone_b0_bfrobust.r224_in1k"), None),  # none in timm
        (Name("language", "RN50", "openai"), "mit"),  # timm has the same repository
        (Name("language", "ViT-L-14-quickgelu", "metaclip_fullcc"), "cc-by-nc-4.0"),
        (Name("language", "ViT-B-32", "laion2b_s34b_b79k"), None),
        (Name("vision", "vision_lite2"), "apache-2.0"),
        (Name("language", "clip_lite0"), "apache-2.0"),
    ],
)
def test_licenses_are_those_of_the_weights_where_they_are_named(
    name: Name, license: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_of_clip", lambda name: Facts())
    found = facts(name)
    assert found.license == license
    assert cells(name, found)[4] == (license or "see the model card")


def test_a_license_that_timm_calls_unknown_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_of_timm", lambda name: (1, None))
    unknown = [name for name in timm.list_pretrained() if timm.get_pretrained_cfg(name).license == "unknown"]
    assert unknown and {facts(Name("vision", name)).license for name in unknown} == {None}


def test_a_model_that_needs_a_missing_module_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    found = facts(Name("language", "roberta-ViT-B-32", "laion2b_s12b_b32k"))
    assert (found.parameters, found.pixels, found.no_prompts) == (87_849_216, 224, None)
    assert "lptpp[text]" in found.missing


def test_the_list_of_the_presets_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*where: object, **more: object) -> None:
        asked.append(where)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    console = Console(width=40, record=True)
    show_backbones(console, None)
    assert asked == []
    assert "ViT-B-16-SigLIP2, weights=webli            language  92.9 M      224" in console.export_text()


@pytest.mark.parametrize("name", ["ViT-S-32", "RN50", "coca_ViT-B-32", "ViT-B-16-SigLIP2", "convnext_base"])
def test_an_image_tower_alone_is_that_of_the_whole_model(name: str) -> None:
    alone, whole = empty_image_tower(name), empty_model(name, device="meta").visual
    shapes = [[(key, tensor.shape) for key, tensor in one.state_dict().items()] for one in (alone, whole)]
    assert shapes[0] == shapes[1]
    assert {tensor.device.type for tensor in alone.state_dict().values()} == {"meta"}


def test_the_list_of_the_presets_names_each_backbone_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = of_presets()
    assert len(set(names)) == len(names)
    assert [one.name for one in names[:2]] == ["vision_lite2", "clip_lite0"]
    assert Name("language", "PE-Core-B-16", "meta") in names


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lptpp.console.backbones.facts", lambda name: Facts(12_340_000, 64, None, "is a ResNet: [x]"))
    console = Console(width=40, record=True)
    show_backbones(console, "test_resnet.r160")
    text = console.export_text()
    assert "test_resnet.r160_in1k  vision  12.3 M" in text  # a narrow terminal cuts no name
    assert text.endswith("no prompts: test_resnet.r160_in1k is a ResNet: [x]\n")
    with pytest.raises(UserError, match="No backbone has nothing_of in its name"):
        show_backbones(console, "nothing_of")
    assert catalog.bundled_names()[0].kind == "vision"
