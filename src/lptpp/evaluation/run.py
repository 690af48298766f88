"""The files that a run's evaluation leaves: metrics.json, per_class.csv, predictions.csv, confusion.csv, groups.csv."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.config import EvaluationSettings, Settings
from lptpp.data.cache import Pictures
from lptpp.data.dataset import Collection
from lptpp.data.prepare import checked, collection_of
from lptpp.evaluation.balanced import balanced_metrics
from lptpp.evaluation.baselines import baseline_rankings
from lptpp.evaluation.evaluate import Evaluation, evaluate
from lptpp.evaluation.files import class_rows, confusion_rows, group_rows, mean_weights, prediction_rows
from lptpp.evaluation.tta import Adjustment, adjusted_rankings, adjustment, fit_on_validation, options, rows_of
from lptpp.inference.model import load, run_settings
from lptpp.inference.runtime import Runner, runner_of
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv, write_json


def write_evaluation(settings: Settings, mixture: Mixture, collection: Collection, runner: Runner) -> dict[str, Any]:
    """Evaluate on the split the settings name, write the files into the run folder, return the metrics."""
    folder, split = Path(settings.run), settings.evaluation.split
    pictures = _pictures(settings, collection, split)
    adjusted = _adjusted(settings, mixture, collection, runner)
    evaluation = evaluate(mixture, pictures[split], runner)
    baselines = baseline_rankings(
        mixture,
        pictures,
        split,
        collection.class_names,
        {name: expert.templates for name, expert in settings.experts.items()},
        settings.evaluation.baselines,
        runner,
    )
    evaluation.rankings = dict(baselines) | evaluation.rankings
    for name, ranking in adjusted_rankings(mixture, pictures[split], adjusted, runner).items():
        evaluation.rankings[f"{evaluation.result}, {name}"] = ranking
    names, counts = collection.class_names, collection.train.counts(len(collection.class_names))
    shot_thresholds = _shot_thresholds(settings)
    metrics = summary(settings, mixture, collection, evaluation)
    write_csv(folder / "per_class.csv", class_rows(evaluation, names, counts, shot_thresholds))
    write_csv(
        folder / "predictions.csv",
        prediction_rows(evaluation, pictures[split].split, names, list(mixture.experts)),
    )
    write_csv(folder / "confusion.csv", confusion_rows(evaluation, names))
    if evaluation.groups:
        write_csv(folder / "groups.csv", group_rows(evaluation, names))
    write_json(folder / "metrics.json", metrics)
    return metrics


def evaluated(settings: Settings) -> dict[str, Any] | None:
    """Return the metrics that a run folder holds, if they were made by the evaluation settings given."""
    path = Path(settings.run) / "metrics.json"
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text(encoding="utf-8"))
    wanted = {
        "split": settings.evaluation.split,
        "shot_thresholds": list(settings.evaluation.shot_thresholds),
        "test_time": options(settings.evaluation),
    }
    if (metrics.get("balanced") or {"pictures": 0})["pictures"] != settings.evaluation.balanced:
        return None
    metrics.setdefault("test_time", options(EvaluationSettings()))
    return metrics if all(metrics.get(key) == value for key, value in wanted.items()) else None


def summary(settings: Settings, mixture: Mixture, collection: Collection, evaluation: Evaluation) -> dict[str, Any]:
    """Return what metrics.json holds."""
    counts = collection.train.counts(len(collection.class_names))
    tested = set(evaluation.labels.tolist())
    parts, frozen = mixture.tuned_parts(), mixture.backbone_parameters()
    tuned = sum(sum(part.values()) for part in parts.values())
    heads = sum(part.get("classifier", 0) for part in parts.values())
    shot_thresholds = _shot_thresholds(settings)
    return {
        "rows": evaluation.metrics(counts, shot_thresholds),
        "balanced": _balanced(settings, evaluation, counts),
        "result": evaluation.result,
        "split": settings.evaluation.split,
        "images": len(evaluation.labels),
        "classes": len(counts),
        "classes_tested": len(tested),
        "untested_classes": [name for label, name in enumerate(collection.class_names) if label not in tested],
        "training_images": int(counts.sum()),
        "shot_thresholds": list(shot_thresholds),
        "test_time": options(settings.evaluation),
        "method": settings.method,
        "seed": settings.seed,
        "tuned_parameters": tuned,
        "tuned_without_classifiers": tuned - heads,
        "tuned_parts": parts,
        "backbone_parameters": frozen,
        "tuned_share_percent": 100 * tuned / frozen,
        "tuned_share_without_classifiers_percent": 100 * (tuned - heads) / frozen,
        "scorer_weights": mean_weights(evaluation, counts, shot_thresholds, list(mixture.experts)),
        "backbones": {
            name: {"name": expert.backbone.name, "fingerprint": expert.backbone.fingerprint}
            for name, expert in mixture.experts.items()
        },
    }


def _pictures(settings: Settings, collection: Collection, split: str) -> dict[str, Pictures]:
    learned = {"linear_probe", "class_means"} & set(settings.evaluation.baselines)
    needed = ["train", "validation", split] if learned else [split]
    memory = int(settings.data.memory_gb * 2**30)
    found = {name: getattr(collection, name) for name in dict.fromkeys(needed)}
    return {name: Pictures(part, memory) for name, part in found.items() if part is not None and len(part)}


def _adjusted(settings: Settings, mixture: Mixture, collection: Collection, runner: Runner) -> dict[str, Adjustment]:
    """Return the test-time rows that the settings ask for."""

    def fitted() -> float:
        assert collection.validation is not None, "lptpp.data.prepare.checked asks for it"
        return fit_on_validation(mixture, Pictures(collection.validation, 0), runner, Path(settings.run))

    whole = adjustment(settings, collection.class_names, collection.counts(), fitted)
    return rows_of(settings.evaluation, whole)


def _balanced(settings: Settings, evaluation: Evaluation, counts: np.ndarray) -> dict[str, Any] | None:
    pictures, seed = settings.evaluation.balanced, settings.data.split_seed
    return balanced_metrics(evaluation, counts, _shot_thresholds(settings), pictures, seed) if pictures else None


def _shot_thresholds(settings: Settings) -> tuple[int, int]:
    low, high = settings.evaluation.shot_thresholds
    return low, high


log = logging.getLogger("lptpp")
CHANGEABLE = ("evaluation.", "device=", "workers=", "data.root=", "data.memory_gb=")


def evaluate_run(run: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], Collection]:
    """Write the evaluation files of a finished run again; return its metrics and its data.

    Raises `UserError` for a setting that training depended on, or where the folder holds no finished run.
    """
    for override in overrides:
        if not override.startswith(CHANGEABLE):
            message = ", ".join(key.rstrip("=") + ("*" if key.endswith(".") else "") for key in CHANGEABLE)
            raise UserError(f"{override} cannot change after training: evaluate takes {message}.")
    settings = run_settings(run, overrides)
    model = load(run, settings.device)
    collection = checked(collection_of(settings), settings, run / "skipped.csv")
    if collection.class_names != model.class_names:
        raise UserError(f"The classes under data.root are not those {run} was trained on: give its own data.root.")
    _warn_of_other_counts(run, model.counts, collection.counts())
    return write_evaluation(settings, model.mixture, collection, runner_of(settings)), collection


def _warn_of_other_counts(run: Path, trained: np.ndarray, now: np.ndarray) -> None:
    """Warn where the classes have other training images now, (C,), than those that the run was trained on, (C,)."""
    if not np.array_equal(trained, now):
        log.warning(
            "%s was trained on %d images; its settings now give %d, or the same number in other classes. Shot groups"
            " and baselines follow the present ones: check data.root and data.factor.",
            *(run, trained.sum(), now.sum()),
        )
