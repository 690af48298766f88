"""What must hold of settings beyond their types; each failure names the key, the value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import torch
from torch import nn

from lptpp.losses import LOSSES, build_loss
from lptpp.models.scorer import MIXES, READS
from lptpp.samplers import SAMPLERS
from lptpp.utils.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from lptpp.config import ExpertSettings, LossSettings, PhaseSettings, ScorerSettings, Settings

CHOICES: dict[str, Collection[str]] = {
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("auto", "float32", "bf16"),
    "kind": ("vision", "language"),
    "head": ("class_means", "text", "random"),
    "optimizer": ("sgd", "adamw"),
    "split": ("test", "validation"),
    "tracker": ("none", "tensorboard", "wandb"),
    "on_error": ("stop", "skip"),
    "profile": ("exponential", "step"),
    "sampler": SAMPLERS,  # with those that somebody registers later
    "loss": LOSSES,
    "baselines": ("zero_shot", "class_means", "linear_probe"),
    "reads": READS,
    "mixes": tuple(MIXES),
    "views": ("one", "flip", "five_crops"),
}


def check(settings: Settings) -> None:
    """Raise `UserError` for the first setting that is out of range or does not fit another."""
    _choose("device", settings.device)
    _choose("precision", settings.precision)
    _within("workers", settings.workers, 0)
    _choose("tracker", settings.tracker)
    _within("track_every", settings.track_every, 1)
    _check_data(settings)
    for name, expert in settings.experts.items():
        _check_name(name)
        _check_expert(f"experts.{name}", expert)
    for name, phase in (("phase1", settings.phase1), ("phase2", settings.phase2)):
        _check_optimization(name, phase)
        _check_streams(name, phase)
    _check_optimization("phase3", settings.phase3)
    _choose("phase3.sampler", settings.phase3.sampler)
    _within("phase3.views", settings.phase3.views, 0)
    _within("phase3.hidden", settings.phase3.hidden, 1)
    _within("phase3.held_back", settings.phase3.held_back, 0, 0.9)
    _choose("phase3.reads", settings.phase3.reads)
    _choose("phase3.mixes", settings.phase3.mixes)
    _check_evaluation(settings)


def _check_data(settings: Settings) -> None:
    data, augmentation = settings.data, settings.augmentation
    _choose("data.on_error", data.on_error)
    _choose("data.profile", data.profile)
    _within("data.validation", data.validation, 0, 0.9)
    _within("data.test", data.test, 0, 0.9)
    if data.factor is not None:
        _within("data.factor", data.factor, 1)
    _within("data.largest_megapixels", data.largest_megapixels, 0.001)
    _within("data.memory_gb", data.memory_gb, 0)
    _within("augmentation.smallest_crop", augmentation.smallest_crop, 0.01, 1)
    _within("augmentation.color", augmentation.color, 0, 1)
    _within("augmentation.cached_views", augmentation.cached_views, 0)


def _check_name(name: str) -> None:
    """Names of experts become parts of the names of weights and stages, and keys of a torch module."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UserError(f"experts.{name}: the name of an expert is one word of letters, digits, _ and -.")
    if hasattr(nn.ModuleDict(), name):
        raise UserError(f"experts.{name}: PyTorch keeps the word {name} for itself, give the expert another name.")


def _check_expert(key: str, expert: ExpertSettings) -> None:
    _choose(f"{key}.backbone.kind", expert.backbone.kind)
    _choose(f"{key}.head", expert.head)
    for size in ("shared_prompts", "adapter_width", "group_prompts"):
        _within(f"{key}.{size}", getattr(expert, size), 0)
    for size in ("num_groups", "top_k", "group_blocks"):
        _within(f"{key}.{size}", getattr(expert, size), 1)
    if expert.group_prompts:
        _within(f"{key}.chosen", expert.top_k, 1, expert.num_groups)
    _within(f"{key}.scale", expert.scale, 1e-3)
    _within(f"{key}.learning_rate_factor", expert.learning_rate_factor, 0)
    if expert.head == "text" and expert.backbone.kind != "language":
        raise UserError(f"{key}.head=text needs a backbone of kind language: choose head class_means or random.")
    if expert.head == "text" and not expert.templates:
        raise UserError(f"{key}.templates is empty: give at least one, for example 'a photo of a {{}}.'.")
    if expert.tune_backbone and expert.group_prompts:
        raise UserError(f"{key}.tune_backbone goes with group_prompts=0: phase 2 stands on a frozen phase-1 model.")


def _check_optimization(key: str, phase: PhaseSettings | ScorerSettings) -> None:
    _choose(f"{key}.optimizer", phase.optimizer)
    _within(f"{key}.epochs", phase.epochs, 1)
    _within(f"{key}.batch_size", phase.batch_size, 1)
    _within(f"{key}.learning_rate", phase.learning_rate, 0)
    _within(f"{key}.weight_decay", phase.weight_decay, 0)
    _within(f"{key}.warmup_epochs", phase.warmup_epochs, 0)


def _check_streams(key: str, phase: PhaseSettings) -> None:
    for name, stream in (("main", phase.main), ("dual", phase.dual)):
        _choose(f"{key}.{name}.sampler", stream.sampler)
        _choose(f"{key}.{name}.loss", stream.loss.name)
        _check_loss(f"{key}.{name}.loss", stream.loss)
        _within(f"{key}.{name}.weight", stream.weight, 0)


def _check_loss(key: str, loss: LossSettings) -> None:
    for name, value in loss.options.items():
        if isinstance(value, list | dict):  # the type that a dictionary's values have does not keep these out
            raise UserError(f"{key}.options.{name}={value}: expected a number.")
    try:
        build_loss(loss.name, torch.ones(2), 1.0, loss.options)  # here, not when a phase begins, hours later
    except UserError as error:
        raise UserError(f"{key}.options: {error}") from error


def _check_evaluation(settings: Settings) -> None:
    evaluation = settings.evaluation
    _choose("evaluation.split", evaluation.split)
    _choose("evaluation.views", evaluation.views)
    _check_temperature(evaluation.temperature)
    _within("evaluation.balanced", evaluation.balanced, 0)
    _within("evaluation.batch_size", evaluation.batch_size, 1)
    for name in evaluation.baselines:
        _choose("evaluation.baselines", name)
    thresholds = evaluation.shot_thresholds
    if len(thresholds) != 2 or not 0 < thresholds[0] <= thresholds[1]:
        raise UserError(f"evaluation.shot_thresholds={thresholds}: expected two rising counts, for example [20, 100].")


def _check_temperature(value: str) -> None:
    try:
        valid = value == "fitted" or 0 < float(value) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"evaluation.temperature={value}: expected a number above 0, or fitted.")


def _choose(key: str, value: str) -> None:
    known = CHOICES[key.rsplit(".", 1)[-1]]
    if value not in known:
        raise UserError(f"{key}={value}: {did_you_mean(str(value), known)}")


def _within(key: str, value: Any, least: float, most: float = float("inf")) -> None:
    if not least <= value <= most:
        expected = f"{least} or more" if most == float("inf") else f"{least} to {most}"
        raise UserError(f"{key}={value}: expected {expected}.")


def check_keys(given: Any, schema: Any, source: str) -> None:
    """Raise `UserError` for a key of `given` that `schema`, a dataclass, has not, at any depth."""
    _check(given, schema, schema, source, "")


def _check(given: Any, hint: Any, schema: Any, source: str, path: str) -> None:
    kind = _kind_of_values(hint)
    if not is_dataclass(hint) and kind is None:
        return
    if not isinstance(given, Mapping):
        raise UserError(f"{source}: {path}={given}: expected settings below it, {path}.KEY and so on.")
    hints = {str(name): kind for name in given} if kind is not None else get_type_hints(hint)
    for name in map(str, given):
        below = f"{path}.{name}" if path else name
        if name not in hints:
            raise UserError(f"{source}: there is no setting {below}: {_nearest(name, path, hint, schema)}")
        _check(given[name], hints[name], schema, source, below)


def _kind_of_values(hint: Any) -> Any:
    """Return the dataclass that a dictionary of named settings holds, None for any other type."""
    is_named = get_origin(hint) is dict and is_dataclass(get_args(hint)[1])
    return get_args(hint)[1] if is_named else None


def _nearest(name: str, path: str, hint: Any, schema: Any) -> str:
    """Propose a key of the same name elsewhere, else those that look like it here."""
    elsewhere = [key for key in _paths(schema, "") if key.split(".")[-1] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return did_you_mean(name, [field.name for field in fields(hint)], f"{path}." if path else "")


def _paths(hint: Any, path: str) -> Iterator[str]:
    """Yield the full path of every setting; NAME stands for a name that the user gives."""
    kind = _kind_of_values(hint)
    if kind is not None:
        yield from _paths(kind, f"{path}.NAME")
    elif is_dataclass(hint):
        for name, below in get_type_hints(hint).items():
            yield f"{path}.{name}" if path else name
            yield from _paths(below, f"{path}.{name}" if path else name)


WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers, as in [20,100]",
    list[str]: "a list of texts, as in [one,two]",
}


def expected(schema: Any, key: str) -> str:
    """Return in words what a setting of a dataclass may be, such as phase1.epochs or evaluation.shot_thresholds[0]."""
    hint = schema
    for name in re.findall(r"[^.\[\]]+", key):
        below = get_type_hints(hint).get(name) if is_dataclass(hint) else (get_args(hint) or [None])[-1]
        if below is None:  # a name with a dot in it
            return "a value of another kind"
        hint = below
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    message = WORDS.get(kinds[0], f"settings below it, as in {key}.NAME=VALUE")
    return message if kinds == [hint] else f"{message}, or null"


def written(value: Any) -> str:
    """Return a value as the command line takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
