"""What must hold of settings beyond their types; each failure names the key, the value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lptpp.errors import UserError, did_you_mean
from lptpp.losses import LOSSES, build_loss
from lptpp.samplers import SAMPLERS
from lptpp.scorer import MIXES, READS

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
        _check_optimisation(name, phase)
        _check_streams(name, phase)
    _check_optimisation("phase3", settings.phase3)
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
    _within("augmentation.colour", augmentation.colour, 0, 1)
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
    for size in ("pool", "chosen", "group_blocks"):
        _within(f"{key}.{size}", getattr(expert, size), 1)
    if expert.group_prompts:
        _within(f"{key}.chosen", expert.chosen, 1, expert.pool)
    _within(f"{key}.scale", expert.scale, 1e-3)
    _within(f"{key}.learning_rate_factor", expert.learning_rate_factor, 0)
    if expert.head == "text" and expert.backbone.kind != "language":
        raise UserError(f"{key}.head=text needs a backbone of kind language: choose head class_means or random.")
    if expert.head == "text" and not expert.templates:
        raise UserError(f"{key}.templates is empty: give at least one, for example 'a photo of a {{}}.'.")
    if expert.tune_backbone and expert.group_prompts:
        raise UserError(f"{key}.tune_backbone goes with group_prompts=0: phase 2 stands on a frozen phase-1 model.")


def _check_optimisation(key: str, phase: PhaseSettings | ScorerSettings) -> None:
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
    if len(evaluation.borders) != 2 or not 0 < evaluation.borders[0] <= evaluation.borders[1]:
        raise UserError(f"evaluation.borders={evaluation.borders}: expected two rising counts, for example [20, 100].")


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
