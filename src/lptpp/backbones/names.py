"""Messages on names that no backbone has: the closest of all names of timm and open_clip, without a network."""

import difflib
from collections.abc import Mapping

import open_clip
import timm

from lptpp.backbones.card_files import BUNDLED
from lptpp.utils.errors import UserError
from lptpp.utils.text import either

LIBRARIES = {"vision": "timm", "language": "open_clip"}
NEAREST = 3  # names in a message
NO_TAGS = "has no pretrained weights: set backbone.weights to a local .safetensors file, or choose another."


def unknown_name(kind: str, name: str) -> UserError:
    """Return the error for a name that no backbone of a kind has."""
    known, other = known_names(kind), next(one for one in LIBRARIES if one != kind)
    elsewhere = None if name.lower() in known else known_names(other).get(name.lower())
    if elsewhere is not None:
        advice = f"did you mean {elsewhere} with backbone.kind={other}?"
    else:
        advice = _closest(name, known) or (
            f"expected {BUNDLED[kind]} or a name of {LIBRARIES[kind]}: `lptpp backbones PATTERN` lists them."
        )
    return UserError(f"Unknown {'vision-language' if kind == 'language' else kind} backbone {name}: {advice}")


def known_names(kind: str) -> dict[str, str]:
    """Return what may be written for a name, in lower case, and the name for the settings.

    A model of timm may be written without the tag of its weights: the settings need one.
    """
    if kind == "language":
        return {name.lower(): name for name in [BUNDLED[kind], *open_clip.list_models()]}
    pretrained = {name.lower(): name for name in [BUNDLED[kind], *timm.list_pretrained()]}
    settings = ((name, timm.get_pretrained_cfg(name)) for name in timm.list_models())
    tagged = {name: f"{name}.{one.tag}" for name, one in settings if one is not None}  # by default
    return pretrained | {name: one for name, one in tagged.items() if one.lower() in pretrained}


def _closest(name: str, known: Mapping[str, str]) -> str | None:
    """Return the names that are spelled almost so, or how to list those that contain it; None if there are none."""
    near = [known[one] for one in difflib.get_close_matches(name.lower(), known, n=2 * NEAREST)]
    if near:
        return f"did you mean {either(list(dict.fromkeys(near))[:NEAREST])}?"
    containing = {known[one] for one in known if _letters(name) in _letters(one)}
    if containing and _letters(name):
        return f"{len(containing)} names contain it, and `lptpp backbones {name}` lists them."
    return None


def _letters(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())
