"""All models of timm and open_clip: one trial each, or one for each input size that the layers depend on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import open_clip
import timm
from open_clip.pretrained import list_pretrained_tags_by_model
from timm.models import model_entrypoint, split_model_name_tag

from benchmarks.backbones.trial import Trial, try_clip, try_timm

TEXT_MODELS = {  # start of the names of text towers of transformers → their type
    "roberta": "roberta",
    "xlm-roberta": "xlm-roberta",
    "mt5": "mt5",
    "nllb": "m2m_100",
}


class Wanted(NamedTuple):
    """A trial to make."""

    kind: str
    name: str
    tags: tuple[str, ...]
    make: Callable[[], Trial]


def all_wanted(real: int) -> Iterator[Wanted]:
    """Yield all trials; models of timm with at most `real` parameters are computed."""
    for architecture in timm.list_models():
        family = module_of(architecture)
        for tags in _by_size(architecture) or [()]:
            name = tags[0] if tags else architecture
            yield Wanted("vision", name, tags, partial(try_timm, name, family, tags, real))
    for name in open_clip.list_models():
        tags = tuple(list_pretrained_tags_by_model(name))
        yield Wanted("language", name, tags, partial(try_clip, name, _clip_family(name), tags))


def _by_size(architecture: str) -> list[tuple[str, ...]]:
    """Return the pretrained names of an architecture, those of one input size together if its layers depend on it."""
    sizes: dict[Any, list[str]] = {}
    for name in timm.list_pretrained(f"{architecture}.*"):
        settings = timm.get_pretrained_cfg(name)
        sizes.setdefault(settings.input_size if settings.fixed_input_size else None, []).append(name)
    return [tuple(names) for names in sizes.values()]


def module_of(name: str) -> str:
    """Return the module of a model of timm."""
    return model_entrypoint(split_model_name_tag(name)[0]).__module__.rpartition(".")[2]


def _clip_family(name: str) -> str:
    vision = (open_clip.get_model_config(name) or {})["vision_cfg"]
    if "timm_model_name" in vision:
        return f"timm: {module_of(vision['timm_model_name'])}"
    return "ResNet" if isinstance(vision["layers"], list) else "ViT"


@contextmanager
def local_text_models() -> Iterator[None]:
    """Give text towers of transformers small sizes, in the place of the configuration that open_clip downloads."""
    try:
        from transformers import AutoConfig
    except ImportError:  # which the trials report
        yield
        return

    def small(repository: str, **given: Any) -> Any:
        model = repository.rpartition("/")[2]
        kind = next(kind for name, kind in TEXT_MODELS.items() if model.startswith(name))
        return AutoConfig.for_model(kind, hidden_size=32, num_attention_heads=2)

    with patch.object(AutoConfig, "from_pretrained", small):
        yield
