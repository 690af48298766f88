"""The cards of hybrid towers, and those of the two bundled ones: what a file tells before its weights are read."""

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.utils.digest import file_digest
from lptpp.utils.errors import UserError

BUNDLED = {"vision": "vision_lite2", "language": "clip_lite0"}  # bundled towers by kind
CARD = "card"  # metadata key
DIGESTS = {  # sha256 of the bundled files: both towers with their text towers and cards
    "clip_lite0": "14d9e73b98c34add76d708c1e8981b60fbfa00e97596d790552aebcfc284d1d6",
    "vision_lite2": "7897e6e93032fd1e114ba4ce06c13301e33f1f6f4eda17a30a51b08064a43f31",
}


def bundled_card(name: str) -> dict[str, Any]:
    """Return the card of a bundled tower, after comparing its file with the one that was released.

    Raises:
        UserError: the file is missing or changed.
    """
    with as_file(files("lptpp.backbones.bundled")) as folder:
        path = folder / f"{name}.safetensors"
        if not path.is_file() or file_digest(path) != DIGESTS[name]:
            raise UserError(f"{path} is missing or damaged: install lptpp again (pip install --force-reinstall lptpp).")
        card = read_card(path)
    assert card is not None
    return card


def read_card(path: Path) -> dict[str, Any] | None:
    """Return the card in a safetensors file; None if it has none.

    Raises:
        UserError: the file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"The weights file {path} does not exist: check backbone.weights.")
    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {}).get(CARD)
        return None if found is None else json.loads(found)
    except (OSError, SafetensorError) as error:
        raise UserError(f"The weights file {path} cannot be read ({error}): copy or convert it again.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"The card in {path} is not valid JSON ({error}): copy or write the file again.") from error


def card_preprocessing(card: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing that a card describes."""
    return Preprocessing(
        tuple(card["size"]), tuple(card["mean"]), tuple(card["std"]), card["interpolation"], card["crop_share"]
    )


def card_in(weights: str | None) -> dict[str, Any] | None:
    """Return the card in a file of weights; None if it has none, or for the tag of a hub."""
    return read_card(Path(weights)) if weights is not None and weights.endswith(".safetensors") else None
