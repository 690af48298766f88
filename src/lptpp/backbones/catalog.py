"""All backbones by name: size, license, and whether they take prompts. No weights are downloaded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

import open_clip
import timm
from open_clip.pretrained import get_pretrained_cfg
from timm.models import split_model_name_tag

from lptpp.backbones.card_files import BUNDLED, bundled_card
from lptpp.backbones.cards import load_bundled
from lptpp.backbones.convert import no_clip_prompts
from lptpp.backbones.language import empty_image_tower
from lptpp.backbones.supported import no_prompts
from lptpp.backbones.text import check_text_modules
from lptpp.backbones.vision import empty_tower
from lptpp.utils.errors import UserError


class Name(NamedTuple):
    """A backbone as the settings name it; `weights` is the tag of an open_clip model."""

    kind: str
    name: str
    weights: str | None = None

    def __str__(self) -> str:
        return self.name if self.weights is None else f"{self.name} {self.weights}"


@dataclass(frozen=True)
class Facts:
    """What is known of a backbone without its weights."""

    parameters: int | None = None  # of the image tower
    pixels: int | None = None
    license: str | None = None  # of the weights, if timm knows it or they are bundled
    no_prompts: str | None = None  # why it takes no prompts; None if it does
    missing: str | None = None  # what must be installed before it can be used


def bundled_names() -> list[Name]:
    """Return the bundled backbones."""
    return [Name(kind, name) for kind, name in BUNDLED.items()]


def all_names() -> Iterator[Name]:
    """Yield the bundled backbones, timm's with pretrained weights, and open_clip's."""
    yield from bundled_names()
    yield from (Name("vision", name) for name in timm.list_pretrained())
    yield from (Name("language", name, tag) for name, tag in open_clip.list_pretrained())


def matching(pattern: str) -> list[Name]:
    """Return the backbones whose name or tag contains a pattern, in which * stands for anything; case is ignored."""
    wanted = f"*{pattern.lower()}*"
    return [one for one in all_names() if fnmatchcase(str(one).lower(), wanted)]


def facts(name: Name) -> Facts:
    """Return the facts of a backbone."""
    if name.name in BUNDLED.values():
        tower, size = load_bundled(name.name).tower, bundled_card(name.name)["size"]
        return Facts(_count(tower), size[0], "apache-2.0")
    if name.kind == "language":
        return replace(_of_clip(name.name), license=_license_of_clip(name))
    settings = timm.get_pretrained_cfg(name.name)
    parameters, reason = _of_timm(split_model_name_tag(name.name)[0])
    return Facts(parameters, settings.input_size[-1], _known(settings.license), reason)


@cache
def _of_timm(architecture: str) -> tuple[int, str | None]:
    model = empty_tower(architecture)
    return _count(model), no_prompts(model)


@cache
def _of_clip(name: str) -> Facts:
    tower, missing = empty_image_tower(name), None
    try:
        check_text_modules(name)
    except UserError as error:  # a text tower or a tokenizer of transformers
        missing = str(error)
    size = tower.image_size
    pixels = size if isinstance(size, int) else size[-1]
    return Facts(_count(tower), pixels, no_prompts=no_clip_prompts(tower), missing=missing)


def _license_of_clip(name: Name) -> str | None:
    """Return the license of a tag whose repository is also one of timm; open_clip names none."""
    place = get_pretrained_cfg(name.name, name.weights).get("hf_hub", "").strip("/")
    return _licenses().get("/".join(place.split("/")[:2]))


@cache
def _licenses() -> dict[str, str | None]:
    """Return the licenses of timm's weights by repository."""
    settings = map(timm.get_pretrained_cfg, timm.list_pretrained())
    return {one.hf_hub_id: _known(one.license) for one in settings if one.hf_hub_id}


def _known(license: str | None) -> str | None:
    return None if license == "unknown" else license


def _count(tower: Any) -> int:
    return sum(parameter.numel() for parameter in tower.parameters())
