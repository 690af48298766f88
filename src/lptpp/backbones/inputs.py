"""The preprocessing of a backbone before it is loaded: timm and open_clip, slow to import, are asked only if needed."""

from lptpp.backbones.card_files import BUNDLED, bundled_card, card_in, card_preprocessing
from lptpp.backbones.preprocessing import Preprocessing


def preprocessing_of(kind: str, name: str, weights: str | None = None, image_size: int | None = None) -> Preprocessing:
    """Return the preprocessing of `load_backbone` for the same arguments, without loading weights.

    Raises:
        UserError: the name is unknown, or the card of a file is invalid.
    """
    card = bundled_card(name) if name in BUNDLED.values() and weights is None else card_in(weights)
    found = _of_library(kind, name, weights) if card is None else card_preprocessing(card)
    return found if image_size is None else found.at((image_size, image_size))


def _of_library(kind: str, name: str, weights: str | None) -> Preprocessing:
    if kind == "vision":
        from lptpp.backbones.vision import vision_preprocessing

        return vision_preprocessing(name, weights)
    from lptpp.backbones.language import language_preprocessing

    return language_preprocessing(name, weights)
