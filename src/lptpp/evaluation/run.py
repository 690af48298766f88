"""Evaluate a run and write metrics.json and its tables, the CSV files of docs/report.md."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.checkpoint.images import run_dataset
from lptpp.config import Settings, run_settings
from lptpp.config.validate import written
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.prepare import check_splits, decoding
from lptpp.evaluation.baselines import baseline_rankings
from lptpp.evaluation.changeable import CHANGEABLE, check_changeable
from lptpp.evaluation.controls import control_rankings, control_rows, with_controls
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.files import (
    METRICS,
    NAMES,
    class_rows,
    confusion_rows,
    group_rows,
    group_set_rows,
    has_formulas,
    prediction_rows,
    read_metrics,
)
from lptpp.evaluation.rankings import Evaluation
from lptpp.evaluation.summary import summary
from lptpp.evaluation.table import ResultRow
from lptpp.evaluation.tta import (
    adjusted_rankings,
    adjusted_rows,
    fit_on_validation,
)
from lptpp.inference.model import load
from lptpp.inference.runtime import Runner, runner_of
from lptpp.models.mixture import Mixture
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv, write_json
from lptpp.utils.memory import cache_bytes

log = logging.getLogger("lptpp")
TABLES = ("per_class.csv", "predictions.csv", "confusion.csv", "groups.csv", "group_sets.csv")


def evaluate_run(run: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], ImageDataset]:
    """Evaluate a finished run again, on its own images; return its metrics and its data.

    Raises:
        UserError: An override changes what training depended on, the folder is not a finished run, or images changed.
    """
    check_changeable(overrides, CHANGEABLE)
    settings = run_settings(run, overrides)
    model = load(run, settings.device)
    collection = run_dataset(settings)
    if settings.data.on_error == "skip":
        collection = replace(collection, **_readable(settings, collection, run / "skipped.csv"))  # type: ignore[arg-type]
    return write_evaluation(settings, model.mixture, collection, runner_of(settings)), collection


def _readable(settings: Settings, collection: ImageDataset, report: Path) -> dict[str, Split]:
    """Return the splits that are not trained on, without unreadable images: those were not all checked if it was set
    after training."""
    splits = {name: split for name, split in collection.splits().items() if name != "train"}
    return check_splits(splits, settings, report)


def write_evaluation(settings: Settings, mixture: Mixture, collection: ImageDataset, runner: Runner) -> dict[str, Any]:
    """Evaluate on `evaluation.split`, write the files to the run folder, and return the metrics."""
    split = settings.evaluation.split
    images = _images(settings, collection, split)
    names, counts = collection.class_names, collection.counts()
    fitted = partial(_fit_temperature, settings, mixture, collection, runner)
    adjusted = adjusted_rows(settings, mixture, images[split], names, counts, fitted, runner)
    evaluation = evaluate_rows(settings, mixture, images[split], runner)
    baselines = baseline_rankings(
        mixture,
        images,
        split,
        names,
        {name: expert.templates for name, expert in settings.experts.items()},
        settings.evaluation.baselines,
        runner,
    )
    evaluation.rankings = dict(baselines) | evaluation.rankings
    evaluation.rankings |= adjusted_rankings(mixture, images[split], adjusted, runner)
    metrics = summary(settings, mixture, names, counts, evaluation)
    if processes.is_main():
        write_files(Path(settings.run), metrics, evaluation, images[split].split, names, counts, list(mixture.experts))
    return metrics


def evaluate_rows(settings: Settings, mixture: Mixture, images: ImageCache, runner: Runner) -> Evaluation:
    """Evaluate the experts and the mixture, and the control rows of the settings."""
    evaluation = evaluate(mixture, images, runner, settings.evaluation.controls)
    controls = control_rankings(mixture, images, _control_rows(settings, mixture), settings.seed, runner)
    evaluation.rankings = with_controls(evaluation.rankings, controls)
    return evaluation


def write_files(
    folder: Path,
    metrics: dict[str, Any],
    evaluation: Evaluation,
    split: Split,
    names: list[str],
    counts: np.ndarray,
    experts: list[str],
) -> None:
    """Write the files of an evaluation of `split`; `counts` (C,) are the training images of the classes `names`."""
    write = partial(write_csv, formulas=has_formulas(metrics))
    per_class, predictions, pairs, groups, group_sets = (folder / name for name in TABLES)
    write(per_class, class_rows(evaluation, names, counts, metrics["shot_thresholds"]))
    write(predictions, prediction_rows(evaluation, split, names, experts))
    write(pairs, confusion_rows(evaluation, names))
    if evaluation.groups:
        write(groups, group_rows(evaluation, names))
        write(group_sets, group_set_rows(evaluation))
    write_json(folder / METRICS, metrics)


def _images(settings: Settings, collection: ImageDataset, split: str) -> dict[str, ImageCache]:
    """Return the images of the evaluated split, and those that the wanted baselines are fitted on."""
    fitted = set(settings.evaluation.baselines) - {"zero_shot"}
    needed = ["train", "validation", split] if fitted else [split]
    memory = cache_bytes(settings.data.memory_gb)
    found = {name: getattr(collection, name) for name in dict.fromkeys(needed)}
    how = decoding(settings)
    return {name: ImageCache(part, memory, how) for name, part in found.items() if part is not None and len(part)}


def _control_rows(settings: Settings, mixture: Mixture) -> list[ResultRow]:
    """Return the control rows of the settings; warn if no expert has group prompts to replace."""
    asked = [name for name in settings.evaluation.controls if name != "mixing"]
    if "mixing" in settings.evaluation.controls and mixture.controls is not None and mixture.controls.lacks_classes():
        log.info("No row with one weight per expert and class: they need evaluation.controls=[mixing] in training.")
    if asked and all(expert.encoder.groups is None for expert in mixture.experts.values()):
        log.warning("evaluation.controls=%s adds no rows: no expert has group prompts.", ", ".join(asked))
    return control_rows(mixture, asked)


def _fit_temperature(settings: Settings, mixture: Mixture, collection: ImageDataset, runner: Runner) -> float:
    assert collection.validation is not None, "lptpp.data.prepare.check_dataset requires it"
    images = ImageCache(collection.validation, 0, decoding(settings))
    return fit_on_validation(mixture, images, runner, Path(settings.run))


def evaluated(settings: Settings) -> dict[str, Any] | None:
    """Return the metrics of the latest evaluation in a run folder; None if these settings ask for another one.

    Those in the run folder ask for none: the evaluation may be one of `lptpp evaluate` with others.
    """
    folder = Path(settings.run)
    try:
        metrics = read_metrics(folder)
        asks = settings.evaluation != run_settings(folder).evaluation
    except UserError:
        return None
    return None if asks and other_options(settings, metrics) else metrics


def newly_asked(settings: Settings) -> list[str]:
    """Return what the settings ask for and the latest evaluation in the run folder has not, if there is one."""
    try:
        before = other_options(settings, read_metrics(Path(settings.run)))
    except UserError:
        return []
    now = vars(settings.evaluation)
    return [f"evaluation.{key} was {written(value)}, now {written(now[key])}" for key, value in before.items()]


def other_options(settings: Settings, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `evaluation` that metrics were measured with, where the settings have others."""
    measured = {
        **{key: metrics.get(key) for key in ("split", "shot_thresholds", "controls")},
        "balanced": (metrics.get("balanced") or {"images_per_class": 0})["images_per_class"],
        "escape_formulas": metrics.get(NAMES) == "escaped",
        **metrics.get("test_time", {}),
    }
    return {key: value for key, value in measured.items() if getattr(settings.evaluation, key) != value}
