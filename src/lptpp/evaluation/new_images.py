"""Evaluate a run on labeled images that are not part of its data set; the files go to RUN/evaluations/NAME."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lptpp.checkpoint.folder import finished_run
from lptpp.checkpoint.record import read_record
from lptpp.config import Settings, run_settings
from lptpp.data.cache import ImageCache
from lptpp.data.content import DIGEST, digests_of
from lptpp.data.dataset import Split
from lptpp.data.labeled import COLUMNS, labeled_images, same_kind
from lptpp.data.sources.class_names import names_file
from lptpp.data.statistics import describe_shots
from lptpp.evaluation.baselines import baseline_rankings
from lptpp.evaluation.calibration import read_fitted
from lptpp.evaluation.changeable import CHANGEABLE_ON, check_changeable
from lptpp.evaluation.files import METRICS, read_metrics
from lptpp.evaluation.metrics import percent
from lptpp.evaluation.rankings import Evaluation
from lptpp.evaluation.run import TABLES, evaluate_rows, write_files
from lptpp.evaluation.summary import summary
from lptpp.evaluation.tta import adjusted_rankings, adjusted_rows
from lptpp.inference.model import Model, load
from lptpp.inference.runtime import Runner, runner_of
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.memory import gb_to_bytes

log = logging.getLogger("lptpp")
FOLDER = "evaluations"  # in the run folder
SKIPPED = "skipped.csv"
OF_TABLES = tuple(f"data.{key}=" for key in ("root", *COLUMNS))  # of the new images; the run may have another source


class Evaluated(NamedTuple):
    """The metrics of an evaluation, its images, and the folder of its files."""

    metrics: dict[str, Any]
    images: Split
    folder: Path


def evaluate_on(run: Path, on: Path, overrides: Sequence[str] = (), name: str | None = None) -> Evaluated:
    """Evaluate a finished run on the labeled images of a folder, table, list or shard, and write the files.

    Classes and training images per class are those of the run, shot groups those of its latest evaluation, and nothing
    is fitted to the new images.

    Raises:
        UserError: the images cannot be read or have unknown classes, or another evaluation has the same name.
    """
    check_changeable(overrides, CHANGEABLE_ON)
    folder = new_folder(run, on, name)
    _refuse_others(folder, on)
    settings = _settings(run, on, overrides)
    model = load(run, settings.device)
    split = labeled_images(on, model.class_names, settings, folder / SKIPPED, model.decoding)
    evaluation = _evaluated(settings, model, split, runner_of(settings))
    metrics = summary(settings, model.mixture, model.class_names, model.counts, evaluation)
    metrics |= {"split": folder.name, "evaluated_on": str(on.resolve()), **_training_images(run, split, evaluation)}
    make_folder(folder)
    experts = list(model.mixture.experts)
    write_files(folder, metrics, evaluation, split, model.class_names, model.counts, experts)
    return Evaluated(metrics, split, folder)


def new_folder(run: Path, on: Path, name: str | None) -> Path:
    """Return the folder of an evaluation: RUN/evaluations/NAME, by default the name of the folder or file."""
    resolved = on.resolve()
    chosen = name or (resolved.name if on.is_dir() else resolved.stem)
    if Path(chosen).name != chosen or chosen.startswith("."):
        raise UserError(f"--name {chosen}: expected a plain name, such as garden.")
    return run / FOLDER / chosen


def _refuse_others(folder: Path, on: Path) -> None:
    """Raise `UserError` if a folder has anything else than an earlier evaluation of the same images.

    One without metrics.json is unfinished.
    """
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.exists() else set()
    if found <= {SKIPPED, *TABLES}:
        return
    before = read_metrics(folder).get("evaluated_on") if (folder / METRICS).is_file() else None
    if before != str(on.resolve()):
        raise UserError(f"{folder} exists and is of {before or 'something else'}: choose another name with --name.")


def _settings(run: Path, on: Path, overrides: Sequence[str]) -> Settings:
    """Return the settings of the run; its image folder does not count, nor its columns if `on` is of another kind."""
    given = dict(one.removeprefix("data.").split("=", 1) for one in overrides if one.startswith(OF_TABLES))
    settings = run_settings(run, [one for one in overrides if not one.startswith(OF_TABLES)])
    names = names_file(settings.data.class_names, settings.data.root)
    settings.data.class_names = None if names is None else str(names)
    kept = COLUMNS if same_kind(on, settings.data.source) else ()
    for key in ("root", *COLUMNS):
        if key in given or key not in kept:
            setattr(settings.data, key, given.get(key))
    if not any(one.startswith("evaluation.shot_thresholds=") for one in overrides):
        settings.evaluation.shot_thresholds = _latest_thresholds(run, settings)
    return settings


def _latest_thresholds(run: Path, settings: Settings) -> list[int]:
    """Return the shot thresholds of the latest evaluation of a run; those of its settings if there is none."""
    trained = settings.evaluation.shot_thresholds
    if not (run / METRICS).is_file() or (latest := read_metrics(run)["shot_thresholds"]) == trained:
        return trained
    log.info("Shot groups of the latest evaluation of %s: %s.", run, describe_shots(latest))
    return latest


def _evaluated(settings: Settings, model: Model, split: Split, runner: Runner) -> Evaluation:
    """Evaluate the rows of the run, except for baselines that are fitted on training images."""
    mixture, asked = model.mixture, settings.evaluation
    images = ImageCache(split, gb_to_bytes(settings.data.memory_gb), model.decoding)
    evaluation = evaluate_rows(settings, mixture, images, runner)
    wanted = [name for name in asked.baselines if name == "zero_shot"]  # the others are fitted on training images
    templates = {name: expert.templates for name, expert in settings.experts.items()}
    baselines = baseline_rankings(mixture, {"new": images}, "new", model.class_names, templates, wanted, runner)
    evaluation.rankings = dict(baselines) | evaluation.rankings
    fitted = partial(_temperature, settings, model)
    rows = adjusted_rows(settings, mixture, images, model.class_names, model.counts, fitted, runner)
    evaluation.rankings |= adjusted_rankings(mixture, images, rows, runner)
    return evaluation


def _temperature(settings: Settings, model: Model) -> float:
    return read_fitted(Path(settings.run), model.mixture.fingerprint()).temperature


def _training_images(run: Path, split: Split, evaluation: Evaluation) -> dict[str, Any]:
    """Return how many images are training images (`trained_on`, None if unknown) and, if some are, the result of the
    others: their number and overall accuracy (`not_trained_on`, else None)."""
    known = _trained_on(run, split)
    if known is None or not known.any() or known.all():
        return {"trained_on": None if known is None else int(known.sum()), "not_trained_on": None}
    right = evaluation.rankings[evaluation.result].classes[:, 0] == evaluation.labels  # (n,)
    others = {"images": int((~known).sum()), "overall": percent(right[~known])}
    return {"trained_on": int(known.sum()), "not_trained_on": others}


def _trained_on(run: Path, split: Split) -> np.ndarray | None:
    """Return which images have the content of a training image, (n,) bool; None if the run does not record them all."""
    _, checkpoint = finished_run(run)
    if "images" not in checkpoint.manifest:
        return None
    trained = read_record(run / "checkpoint", checkpoint.manifest["images"]).digests_in("train")
    if not trained.any(1).all():
        return None
    found = digests_of(split.images, "Looking for training images")
    return np.isin(_as_texts(found), _as_texts(trained))


def _as_texts(digests: np.ndarray) -> np.ndarray:
    """Return digests (n, DIGEST) as (n,) values that NumPy compares as a whole."""
    return np.ascontiguousarray(digests).view(f"S{DIGEST}").ravel()
