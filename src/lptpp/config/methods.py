"""The methods: all use the same code, with some parts disabled (docs/method.md)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import either


@dataclass(frozen=True)
class Method:
    """The kinds of experts that a method uses, the settings that it fixes in them, and its loss if it fixes one."""

    kinds: tuple[str, ...]
    expert: dict[str, Any] = field(default_factory=dict)
    loss: str | None = None  # then with instance-balanced sampling only


NO_PROMPTS = {"shared_prompts": 0, "group_prompts": 0}
NO_ADAPTERS = {"adapter_width": 0, "stem_adapter_width": 0}
METHODS = {
    "lptpp": Method(("vision", "language")),
    "lpt": Method(("vision",), NO_ADAPTERS),
    "linear_probe": Method(("vision",), {**NO_PROMPTS, **NO_ADAPTERS}, "logit_adjustment"),
    "vpt_deep": Method(("vision",), {"group_prompts": 0, **NO_ADAPTERS}, "cross_entropy"),
    "adaptformer": Method(("language",), {**NO_PROMPTS, "stem_adapter_width": 0}, "logit_adjustment"),
    "full": Method(("vision",), {**NO_PROMPTS, **NO_ADAPTERS, "tune_backbone": True}, "cross_entropy"),
}


def apply_method(settings: DictConfig, name: str, chosen: list[str]) -> DictConfig:
    """Return the settings with the method's experts, or the `chosen` ones, and without the parts it does not use.

    The settings are changed in place.

    Raises:
        UserError: an unknown method or expert, or no expert of the kind that the method needs.
    """
    if name not in METHODS:
        raise UserError(f"method={name}: {did_you_mean(name, METHODS)}")
    method = METHODS[name]
    settings.method = name
    keep = chosen or [key for key, expert in settings.experts.items() if expert.backbone.kind in method.kinds]
    _check_experts(keep, list(settings.experts), name, method)
    _keep_experts(settings.experts, keep)
    for key, value in fixed_settings(name, keep).items():
        OmegaConf.update(settings, key, value, merge=False)
    return settings


def fixed_settings(name: str, experts: Iterable[str]) -> dict[str, Any]:
    """Return the settings that a method fixes, by dotted key."""
    method = METHODS[name]
    fixed = {f"experts.{expert}.{key}": value for expert in experts for key, value in method.expert.items()}
    if method.loss is None:
        return fixed
    return fixed | {
        "phase1.main.sampler": "instance_balanced",
        "phase1.main.weight": 1.0,
        "phase1.main.loss.name": method.loss,
        "phase1.main.loss.options": {},
        "phase1.dual.weight": 0.0,
    }


def _keep_experts(experts: DictConfig, keep: list[str]) -> None:
    """Remove all experts but those to keep, and put these in order."""
    kept = {key: experts.pop(key) for key in keep}
    experts.clear()
    with flag_override(experts, "no_deepcopy_set_nodes", True):
        experts.update(kept)


def _check_experts(keep: list[str], known: list[str], name: str, method: Method) -> None:
    if not keep:
        raise UserError(
            f"method={name} needs an expert of kind {either(method.kinds)}; experts has {', '.join(known)}."
        )
    for key in keep:
        if key not in known:
            raise UserError(f"use_experts: there is no expert {key}: {did_you_mean(key, known)}")
