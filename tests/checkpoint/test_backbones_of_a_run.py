"""A run is loaded on the towers that it was trained on: weights, text tower, preprocessing and card."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lptpp
from lptpp.backbones.card_files import CARD
from lptpp.checkpoint.identity import check_backbones, fingerprints
from lptpp.export.hugging_face import write_hugging_face
from lptpp.models.build import build_mixture
from lptpp.training import fit as training
from lptpp.utils.errors import UserError
from tests.checkpoint.test_sharing import seal


def rewrite(path: Path, change: Callable[[dict, dict], Any]) -> None:
    """Change the weights and the card of a tower in its file."""
    with safe_open(path, "pt") as file:
        card = json.loads(file.metadata()[CARD])
    weights = load_file(path)
    change(weights, card)
    save_file(weights, path, {CARD: json.dumps(card, indent=1)})


def nudge(part: str) -> Callable[[dict, dict], Any]:
    def change(weights: dict, card: dict) -> None:
        name = next(name for name in weights if name.startswith(part) and weights[name].is_floating_point())
        weights[name].view(-1)[0] += 1

    return change


CHANGES = {
    "nothing": (lambda weights, card: None, None),
    "a weight": (nudge("tower."), r"on other weights \(fingerprint \w{12}…, found \w{12}…\) of clip_random"),
    "a weight of the text tower": (nudge("text."), "on other weights of the text tower"),
    "the mean": (lambda weights, card: card.update(mean=[0.5, 0.5, 0.4]), r"another preprocessing \(mean \[0\.5, 0\.5"),
    "the crop": (lambda weights, card: card.update(crop_share=0.9), r"\(crop_share 1\.0, now 0\.9\)"),
    "the heads": (lambda weights, card: card["architecture"].update(num_heads=4), "another card"),
    "the heads of the text tower": (lambda weights, card: card["text"].update(heads=1), "another card"),
}


@pytest.fixture
def own_cards(cards, tmp_path) -> Path:
    return Path(shutil.copytree(cards, tmp_path / "cards"))


@pytest.mark.parametrize("changed", CHANGES)
def test_other_towers_are_refused_by_part(changed, trained, settings_of, own_cards):
    change, message = CHANGES[changed]
    rewrite(own_cards / "clip_random.safetensors", change)
    mixture = build_mixture(settings_of(own_cards / "run", *moved(own_cards)), 4)
    manifest = {"fingerprints": fingerprints(trained.mixture)}
    if message is None:
        check_backbones(manifest, mixture, trained.folder)
        return
    with pytest.raises(UserError, match=message) as error:
        check_backbones(manifest, mixture, trained.folder)
    assert "expert language: provide the original weights." in str(error.value)


def moved(cards: Path) -> list[str]:
    towers = {"visual": "vision_random", "language": "clip_random"}
    return [f"experts.{name}.backbone.weights={cards / tower}.safetensors" for name, tower in towers.items()]


def test_loading_and_resuming_compare_them(trained, cards, settings_of, own_cards, tmp_path, monkeypatch):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace(str(cards), str(own_cards)))
    lptpp.load(run)
    rewrite(own_cards / "vision_random.safetensors", CHANGES["the mean"][0])
    with pytest.raises(UserError, match="another preprocessing"):
        lptpp.load(run)
    shutil.copytree(trained.checkpoints[7], tmp_path / "unfinished")
    monkeypatch.setattr(training, "check_settings", lambda *arguments: None)  # weights in another place
    with pytest.raises(UserError, match="another preprocessing"):
        training.fit(settings_of(tmp_path / "unfinished", *moved(own_cards)))


def test_an_exported_folder_has_its_own(trained, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    list(write_hugging_face(trained.folder, folder, "me/fruit", "unknown"))
    rewrite(folder / "backbone-visual.safetensors", CHANGES["the mean"][0])
    with pytest.raises(UserError, match=r"backbone-visual\.safetensors is missing or changed"):
        lptpp.load(folder)
    seal(folder)
    with pytest.raises(UserError, match="another preprocessing"):
        lptpp.load(folder)


def test_fingerprints_of_another_version_are_refused_in_a_sentence(trained):
    with pytest.raises(UserError, match=r"other weights \(fingerprint None"):
        check_backbones({"fingerprints": {"visual": "0" * 64}}, trained.mixture, trained.folder)
