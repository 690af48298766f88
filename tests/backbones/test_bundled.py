import hashlib
from importlib.resources import files

import pytest
import torch

from lptpp.backbones.card_files import BUNDLED, read_card
from lptpp.backbones.load import load_backbone

FOLDER = files("lptpp.backbones.bundled")
SIDE = 160


@pytest.mark.parametrize("kind", BUNDLED)
def test_a_towers_card_page_names_its_digest(kind: str) -> None:
    digest = hashlib.sha256((FOLDER / f"{BUNDLED[kind]}.safetensors").read_bytes()).hexdigest()
    assert digest in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_both_towers_together_stay_below_45_megabytes() -> None:
    sizes = [len((FOLDER / f"{name}.safetensors").read_bytes()) for name in BUNDLED.values()]
    assert sum(sizes) <= 45e6


@pytest.mark.parametrize("kind", BUNDLED)
def test_the_preprocessing_is_the_cards(kind: str) -> None:
    card = read_card(FOLDER / f"{BUNDLED[kind]}.safetensors")
    found = load_backbone(kind, BUNDLED[kind]).preprocessing
    assert found.size == (SIDE, SIDE)
    assert (list(found.mean), list(found.std), found.interpolation) == (
        card["mean"],
        card["std"],
        card["interpolation"],
    )
    assert found.crop_share == 1
    assert found.resize == "crop"


@pytest.mark.parametrize("kind", BUNDLED)
def test_nothing_of_a_backbone_trains(kind: str) -> None:
    backbone = load_backbone(kind, BUNDLED[kind], image_size=64)
    assert not any(parameter.requires_grad for parameter in backbone.tower.parameters())
    assert not any(module.training for module in backbone.tower.modules())
    if backbone.text is not None:
        assert not any(parameter.requires_grad for parameter in backbone.text.model.parameters())


def test_the_language_tower_knows_names_by_sight() -> None:
    """Stripes of one color are nothing in particular, but a text is nearer to itself than to another."""
    text = load_backbone("language", BUNDLED["language"]).text
    assert text is not None
    vectors = text.class_vectors(["goldfish", "school bus", "koala"], ["a photo of a {}."])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert (vectors @ vectors.T - torch.eye(3)).max() < 0.9
