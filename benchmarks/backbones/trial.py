"""One model as the backbone of an expert: does it load, does it take prompts, and what does a forward pass give?"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import open_clip
import torch
from open_clip.model import _build_text_tower
from timm.layers import weight_init
from torch import nn

from lptpp.backbones.convert import image_tower, no_clip_prompts
from lptpp.backbones.language import check_tag, empty_model
from lptpp.backbones.pooled import PooledTower, pooled_width
from lptpp.backbones.supported import no_prompts
from lptpp.backbones.text import check_text_modules
from lptpp.backbones.vision import empty_tower, own_preprocessing
from lptpp.config import ExpertSettings
from lptpp.models import block
from lptpp.models.build import encoder_of
from lptpp.utils.errors import UserError

WITH_PROMPTS = ExpertSettings(shared_prompts=2, group_prompts=2, num_groups=3, top_k=2, group_blocks=1, adapter_width=2)
TOLERANCE = 1e-5  # of the largest feature, float32


@dataclass(frozen=True)
class Trial:
    """What was found for one model; `failure` is why it does not load, `no_prompts` why it takes no prompts."""

    kind: str
    name: str  # as in the settings
    family: str  # the module of timm, or what open_clip's image tower is
    tags: tuple[str, ...]  # pretrained tags that it stands for
    parameters: int = 0  # of the image tower
    width: int = 0  # of its features
    no_prompts: str | None = None
    failure: str | None = None
    refused: tuple[str, ...] = ()  # tags with a reason, of a model that loads
    real: bool = False  # computed with random weights, not only shapes

    @property
    def loads(self) -> bool:
        """Whether the model can be an expert."""
        return self.failure is None


def try_timm(name: str, family: str, tags: tuple[str, ...], real: int) -> Trial:
    """Return the trial of a model of timm, computed if it has at most `real` parameters."""
    return _noted(Trial("vision", name, family, tags), lambda: _timm(name, real))


def try_clip(name: str, family: str, tags: tuple[str, ...]) -> Trial:
    """Return the trial of a model of open_clip."""
    return _noted(
        Trial("language", name, family, tags), lambda: {**_clip(name), "refused": tuple(refused_tags(name, tags))}
    )


def _noted(trial: Trial, facts: Callable[[], dict[str, Any]]) -> Trial:
    try:
        return replace(trial, **facts())
    except Exception as error:  # whatever the layers of any model raise
        return replace(trial, failure=" ".join(f"{type(error).__name__}: {error}".split())[:300])


def _timm(name: str, real: int) -> dict[str, Any]:
    empty = empty_tower(name)
    reason, size = no_prompts(empty), own_preprocessing(empty).size
    width = _width(empty, size) if reason is None else pooled_width(empty, size, name)
    small = count(empty) <= real
    if small:
        _compare(name, reason is None, size)
    return {"parameters": count(empty), "width": width, "no_prompts": reason, "real": small}


def _clip(name: str) -> dict[str, Any]:
    check_text_modules(name)
    model = empty_model(name, device="meta")
    settings = open_clip.get_model_config(name)
    joint, texts = settings["embed_dim"], _text_feature(settings).shape
    assert texts == (1, joint), f"texts of shape {tuple(texts)}, expected (1, {joint})"
    visual, reason = model.visual, no_clip_prompts(model.visual)
    side = visual.preprocess_cfg["size"]
    size = (side, side) if isinstance(side, int) else tuple(side)
    parameters = count(visual)
    if reason is None:
        with torch.device("meta"):
            width = _width(image_tower(visual, name), size)
    else:
        width = pooled_width(visual, size, name)
    assert width == joint, f"features of width {width}, expected {joint}"
    return {"parameters": parameters, "width": width, "no_prompts": reason}


def _text_feature(settings: dict[str, Any]) -> torch.Tensor:
    """Return the feature (1, F) of a text; text towers of transformers are computed, as they read values."""
    text = {**settings["text_cfg"], "hf_model_pretrained": False}
    with torch.device("cpu" if "hf_model_name" in text else "meta"), torch.no_grad():
        tower = _build_text_tower(settings["embed_dim"], text).eval()
        found = tower(torch.full((1, text.get("context_length", 77)), 5))
    return found[0] if isinstance(found, tuple) else found  # CoCa's also returns tokens


def refused_tags(name: str, tags: Sequence[str]) -> Iterator[str]:
    """Yield the tags of an open_clip model whose weights are refused, with the reason."""
    for tag in tags:
        try:
            check_tag(name, tag)
        except UserError as error:
            yield f"{tag}: {error}"


def _width(tower: Any, size: tuple[int, int]) -> int:
    """Return the width of the features of an untrained expert with prompts, on the meta device."""
    with torch.device("meta"):
        encoder = encoder_of(tower, WITH_PROMPTS).eval()
    with torch.no_grad():
        feature = encoder(torch.zeros(2, 3, *size, device="meta")).feature
    assert feature.ndim == 2, f"features of shape {tuple(feature.shape)}"
    return feature.shape[1]


def _compare(name: str, prompts: bool, size: tuple[int, int]) -> None:
    """Compare the features of a model without prompts with timm's, for random weights and one random image."""
    torch.manual_seed(0)
    model = empty_tower(name, device="cpu").eval()
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        tower = model if prompts else PooledTower(model, expected.shape[1])
        found = encoder_of(tower, ExpertSettings(shared_prompts=0, group_prompts=0, adapter_width=0)).eval()(images)
    difference = (found.feature - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
    assert difference <= TOLERANCE, f"features differ from timm's by {difference:.1e} of the largest"


def count(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def shapes_only() -> Iterator[None]:
    """Skip timm's random draws, which take most of the time on the meta device, and autocast, which it lacks."""
    draw = weight_init._trunc_normal_
    cast = block._cast
    with (
        patch.object(weight_init, "_trunc_normal_", lambda x, *given: x if x.is_meta else draw(x, *given)),
        patch.object(block, "_cast", lambda x: x if x.is_meta else cast(x)),
    ):
        yield
