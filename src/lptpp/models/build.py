"""Build an untrained mixture on its backbones from settings."""

from collections.abc import Mapping
from typing import Any

import torch

from lptpp.backbones.base import Backbone
from lptpp.backbones.hub import commit_of
from lptpp.backbones.load import load_backbone
from lptpp.backbones.pooled import PooledTower
from lptpp.config import ExpertSettings, Settings
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert
from lptpp.models.mixture import Mixture
from lptpp.models.pooled import PooledEncoder
from lptpp.utils.random import key


def build_mixture(
    settings: Settings, classes: int, revisions: Mapping[str, str] | None = None, texts: bool = True
) -> Mixture:
    """Return the experts and the scorer of a run, randomly initialized from its seed.

    `revisions` are those of the backbone weights by expert, of an earlier `revisions`. `texts`: as in `load_backbone`.

    Raises:
        UserError: a backbone cannot be loaded, or a size does not fit it.
    """
    experts = {}
    for name, expert in settings.experts.items():
        torch.manual_seed(key(settings.seed, "start", name))
        experts[name] = build_expert(expert, classes, settings.data.resize, (revisions or {}).get(name), texts)
    torch.manual_seed(key(settings.seed, "start", "scorer"))
    scorer = settings.phase3
    return Mixture(experts, scorer.hidden, scorer.reads, scorer.mixes)


def fresh_expert(expert: Expert, settings: ExpertSettings, seed: int, name: str) -> Expert:
    """Return an untrained expert on the frozen backbone of another one, initialized as `build_mixture` did."""
    torch.manual_seed(key(seed, "start", name))
    return adapted(expert.backbone, settings, len(expert.heads[0].weight))


def build_expert(
    settings: ExpertSettings,
    classes: int,
    resize: str | None = None,
    revision: str | None = None,
    texts: bool = True,
) -> Expert:
    """Return one expert with its backbone loaded; `resize` is `data.resize`, `revision` that of an earlier run."""
    source = settings.backbone
    prompts = bool(settings.shared_prompts or settings.group_prompts)
    hub = {"revision": commit_of(revision or source.revision), "tokenizer": source.tokenizer}
    given = {key: value for key, value in hub.items() if value is not None}
    backbone = load_backbone(source.kind, source.name, source.weights, source.image_size, prompts, texts, **given)
    evaluated = backbone.preprocessing.evaluated_by(source.resize, source.crop_share)
    backbone.preprocessing = evaluated.resizing(resize)
    return adapted(backbone, settings, classes)


def adapted(backbone: Backbone, settings: ExpertSettings, classes: int) -> Expert:
    """Return an untrained expert on a backbone."""
    encoder = encoder_of(backbone.tower, settings)
    return Expert(backbone, encoder, classes, settings.scale, settings.tune_backbone)


def encoder_of(tower: Any, settings: ExpertSettings) -> AdaptedEncoder | PooledEncoder:
    """Return the adaptation of a tower: in its blocks, or on the pooled feature of one without prompts.

    Raises:
        UserError: a size does not fit the tower.
    """
    if isinstance(tower, PooledTower):
        return PooledEncoder(tower, settings.adapter_width, settings.adapter_scale, settings.stem_adapter_width)
    return AdaptedEncoder(
        tower,
        shared_prompts=settings.shared_prompts,
        adapter_width=settings.adapter_width,
        adapter_scale=settings.adapter_scale,
        group_prompts=settings.group_prompts,
        num_groups=settings.num_groups,
        top_k=settings.top_k,
        group_blocks=settings.group_blocks,
        stem_adapter_width=settings.stem_adapter_width,
    )
