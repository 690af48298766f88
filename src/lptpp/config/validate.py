"""Checks of settings beyond their types; every error names the key, the value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from lptpp.config.choices import ALL_SOURCES, RESERVED, SOURCE_SETTINGS, TEMPLATE_NAMES, check_loss
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import either, percent_hint, short_number

if TYPE_CHECKING:
    from lptpp.config import BackboneSettings, DataSettings, EvaluationSettings, ExpertSettings, Settings

SOURCES_OF = {  # source by the suffix of a list
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "list",
    ".parquet": "parquet",
    ".tar": "webdataset",
}
MEANT = {"gpu": "cuda"}  # what users write and mean
PRIORS = {"prior": ("uniform", "training", "estimated"), "assumed": ("uniform", "training", "auto")}  # or a file


def check(settings: Settings) -> None:
    """Raise `UserError` for the first setting that is out of range or contradicts another."""
    for name in settings.experts:
        _check_name(name)
    _check_values(settings, "")
    for name, expert in settings.experts.items():
        _check_expert(f"experts.{name}", expert)
    _check_cached_views(settings)
    for phase in ("phase1", "phase2"):
        for stream in ("main", "dual"):
            loss = getattr(getattr(settings, phase), stream).loss
            check_loss(loss.name, loss.options, f"{phase}.{stream}.loss")
        batch_size = getattr(settings, phase).batch_size
        if settings.shards > batch_size:
            raise UserError(f"shards={settings.shards}: expected 1 to {phase}.batch_size, {batch_size}.")
    _check_folds(settings)
    _check_temperature(settings.evaluation.temperature)
    _check_whole_or_auto("workers", str(settings.workers), 1000)
    thresholds = settings.evaluation.shot_thresholds
    if len(thresholds) != 2 or not 0 < thresholds[0] <= thresholds[1]:
        raise UserError(
            f"evaluation.shot_thresholds={thresholds}: expected two counts in ascending order, for example [20,100]."
        )


def check_environment(settings: Settings) -> None:
    """Raise `UserError` for a file that does not exist or a library that is not installed, before training starts.

    Not part of `check`: the settings of a finished run stay readable without these.
    """
    check_files(settings)
    tracker = settings.tracker
    if tracker != "none" and find_spec(tracker) is None:
        raise UserError(f'tracker={tracker}: {tracker} is not installed; run pip install "lptpp[{tracker}]".')


def check_files(settings: Settings) -> None:
    """Raise `UserError` for a file that does not exist, before a model is loaded."""
    for name, expert in settings.experts.items():
        _check_weights(f"experts.{name}.backbone.weights", expert.backbone)
        _check_tokenizer(f"experts.{name}.backbone.tokenizer", expert.backbone.tokenizer)
    check_priors(settings.evaluation)


def check_priors(evaluation: EvaluationSettings) -> None:
    """Raise `UserError` for class frequencies that are neither a known kind nor a file."""
    for key in ("prior", "assumed"):
        value = getattr(evaluation, key)
        if value not in (None, *PRIORS[key]) and not Path(value).is_file():
            raise UserError(
                f"evaluation.{key}={value}: file not found, and not one of {', '.join(PRIORS[key])}; expected a .csv or"
                " .json file of class frequencies."
            )


def check_megapixels(largest: float | None) -> None:
    """Raise `UserError` for a limit that is not above 0; None is no limit of its own."""
    if largest is not None and not largest > 0:
        raise UserError(f"largest_megapixels={largest:g}: expected a number above 0.")


def check_used(given: Mapping[str, Any], data: DataSettings) -> None:
    """Raise `UserError` for a setting of `data` that the user gave and the source does not read.

    `given` are the settings of `data` in the user's files and on the command line; null and defaults may stay.
    """
    used = SOURCE_SETTINGS[data.source] | ALL_SOURCES
    defaults = {one.name: getattr(type(data)(), one.name) for one in fields(data)}
    for key, value in given.items():
        if key not in used and value is not None and value != defaults[key]:
            readers = [source for source, keys in SOURCE_SETTINGS.items() if key in keys]
            near = SOURCES_OF.get(Path(str(value)).suffix.lower())
            it_is_for = f"it is for {', '.join(readers)}; remove it."
            advice = f"did you mean data.source={near}?" if near in readers else it_is_for
            raise UserError(f"data.{key}={value} is not a setting of data.source={data.source}: {advice}")


def _check_weights(key: str, backbone: BackboneSettings) -> None:
    weights = backbone.weights
    is_file = weights is not None and (backbone.kind == "vision" or weights.endswith(".safetensors"))
    if is_file and not Path(str(weights)).is_file():
        raise UserError(f"{key}={weights}: file not found; expected a .safetensors file.")


def _check_tokenizer(key: str, folder: str | None) -> None:
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"{key}={folder}: folder not found; expected one with the files of a tokenizer.")


def _check_values(settings: Any, path: str) -> None:
    """Compare every setting with the choices and the range of its field, in order."""
    for one in fields(settings):
        key, value = f"{path}{one.name}", getattr(settings, one.name)
        if is_dataclass(value):
            _check_values(value, f"{key}.")
        elif isinstance(value, dict):
            for name, held in value.items():
                if is_dataclass(held):
                    _check_values(held, f"{key}.{name}.")
        elif value is not None:
            _check_value(key, value, one.metadata["choices"], one.metadata["within"])


def _check_value(key: str, value: Any, choices: Any, within: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        if choices and each not in choices:
            raise UserError(f"{key}={each}: {did_you_mean(MEANT.get(each, str(each)), choices)}")
        if within is not None and each not in within:
            hint = percent_hint(each) if within.least >= 0 and within.most <= 1 else ""
            raise UserError(f"{key}={short_number(each)}: expected {within}{hint}.")


def _check_name(name: str) -> None:
    """Names of experts become parts of the names of weights and stages, and keys of a torch module."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"experts.{name}: the name of an expert must be one word of letters, digits, _ and -.")
    if name in RESERVED:
        raise UserError(f"experts.{name}: PyTorch reserves the name {name}; choose another one.")


def _check_expert(key: str, expert: ExpertSettings) -> None:
    _check_whole_or_auto(f"{key}.mean_images", str(expert.mean_images), 10**9)
    if expert.group_prompts and expert.top_k > expert.num_groups:
        raise UserError(f"{key}.top_k={expert.top_k}: expected 1 to num_groups, {expert.num_groups}.")
    if expert.head == "text" and expert.backbone.kind != "language":
        raise UserError(f"{key}.head=text needs a backbone of kind language; use class_means or random.")
    if expert.head == "text" and not expert.templates:
        raise UserError(f"{key}.templates is empty: expected at least one, for example 'a photo of a {{}}.'.")
    for template in expert.templates:
        if "{}" not in template and template not in TEMPLATE_NAMES:
            raise UserError(
                f"{key}.templates: {template!r} has no {{}}; add {{}} where the class name belongs, or name a set of"
                f" templates: {did_you_mean(template, TEMPLATE_NAMES)}"
            )
    if expert.backbone.tokenizer is not None and expert.backbone.kind != "language":
        raise UserError(f"{key}.backbone.tokenizer is for a backbone of kind language: remove it.")
    if expert.tune_backbone and expert.group_prompts:
        raise UserError(f"{key}.tune_backbone=true needs group_prompts=0: phase 2 requires a frozen phase-1 model.")


def _check_cached_views(settings: Settings) -> None:
    adapted = [name for name, expert in settings.experts.items() if expert.stem_adapter_width]
    if settings.augmentation.cached_views and adapted:
        widths = " and ".join(f"experts.{name}.stem_adapter_width" for name in adapted)
        views = settings.augmentation.cached_views
        raise UserError(
            f"augmentation.cached_views={views} keeps what the stem returns, but its adapters change that: set it to 0,"
            f" or {widths} to 0."
        )


def _check_folds(settings: Settings) -> None:
    scorer = settings.phase3
    if scorer.folds == 1:
        raise UserError("phase3.folds=1: expected 2 or more, or 0 for no cross-fitting.")
    if scorer.folds and scorer.held_back:
        raise UserError("phase3.folds and phase3.held_back exclude each other: set one of them to 0.")
    tuned = [name for name, expert in settings.experts.items() if expert.tune_backbone]
    if scorer.folds and tuned and len(settings.experts) > 1:
        raise UserError(
            f"phase3.folds={scorer.folds} needs frozen backbones: experts.{tuned[0]}.tune_backbone is true."
        )


def _check_temperature(value: str) -> None:
    try:
        valid = value == "fitted" or 0 < float(value) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"evaluation.temperature={value}: expected a number above 0, or fitted.")


def _check_whole_or_auto(key: str, value: str, most: int) -> None:
    if value != "auto" and not (value.isdecimal() and int(value) <= most):
        raise UserError(f"{key}={value}: expected a whole number from 0 to {most:,}, or auto.")


def check_keys(given: Any, schema: Any, source: str) -> None:
    """Raise `UserError` for a key of `given`, at any depth, that the dataclass `schema` does not have."""
    _check_keys(given, schema, schema, source, "")


def _check_keys(given: Any, hint: Any, schema: Any, source: str, path: str) -> None:
    kind = held_by(hint)
    if get_origin(hint) is list and isinstance(given, Mapping):
        raise UserError(f"{source}: {path}={given}: expected {KINDS[hint]}.")
    if (is_dataclass(hint) or get_origin(hint) is dict) and not isinstance(given, Mapping):
        raise UserError(f"{source}: {path}={written(given)}: expected settings below it, such as {path}.KEY=VALUE.")
    if not is_dataclass(hint) and kind is None:
        return
    hints = {str(name): kind for name in given} if kind is not None else get_type_hints(hint)
    for name in map(str, given):
        below = f"{path}.{name}" if path else name
        if name not in hints:
            raise UserError(f"{source}: there is no setting {below}: {_nearest(name, path, hint, schema)}")
        _check_keys(given[name], hints[name], schema, source, below)


def held_by(hint: Any) -> Any:
    """Return the dataclass that a dictionary of named settings holds, None for any other type."""
    is_named = get_origin(hint) is dict and is_dataclass(get_args(hint)[1])
    return get_args(hint)[1] if is_named else None


def _nearest(name: str, path: str, hint: Any, schema: Any) -> str:
    """Propose keys of the same name elsewhere, otherwise similar keys in this section."""
    if elsewhere := settings_named(schema, name):
        return f"did you mean {either(elsewhere)}?"
    return did_you_mean(name, [field.name for field in fields(hint)], f"{path}." if path else "")


def settings_named(schema: Any, name: str) -> list[str]:
    """Return the full keys of the settings with a name, such as phase1.epochs for epochs."""
    return [key for key in _paths(schema, "") if key.split(".")[-1] == name]


def _paths(hint: Any, path: str) -> Iterator[str]:
    """Yield the full path of every setting; NAME stands for a name that the user chooses."""
    kind = held_by(hint)
    if kind is not None:
        yield from _paths(kind, f"{path}.NAME")
    elif is_dataclass(hint):
        for name, below in get_type_hints(hint).items():
            yield f"{path}.{name}" if path else name
            yield from _paths(below, f"{path}.{name}" if path else name)


KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers, such as [20,100]",
    list[str]: "a list of texts, such as [one,two]",
}


def expected(schema: Any, key: str) -> str:
    """Describe the type of a setting of a dataclass, such as phase1.epochs or evaluation.shot_thresholds[0]."""
    hint = _hint(schema, key)
    return "a value of another type" if hint is None else described(hint)  # None: a name with a dot in it


def is_setting(schema: Any, key: str) -> bool:
    """Return whether a dataclass has a setting, such as data.label_columns."""
    return _hint(schema, key) is not None


def _hint(schema: Any, key: str) -> Any:
    hint = schema
    for name in re.findall(r"[^.\[\]]+", key):
        hint = get_type_hints(hint).get(name) if is_dataclass(hint) else (get_args(hint) or [None])[-1]
        if hint is None:
            break
    return hint


def described(hint: Any) -> str:
    """Return the type of a setting in words."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    words = KINDS.get(kinds[0], "settings")
    return words if kinds == [hint] else f"{words}, or null"


def written(value: Any) -> str:
    """Return a value as on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
