"""A time budget for training: the number of epochs that fits, from the time of the first steps.

The first steps of phases 1 and 2 of every expert are trained on a copy of the model and timed, with their data, and so
are two passes without gradients, from which the time of the scorer, the evaluation and the probes follows. The chosen
epochs are written to time_budget.json in the run folder, so that a resumed run has the same.
"""

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.checkpoint.identity import BUDGET
from lptpp.checkpoint.store import steps as steps_of
from lptpp.config import Settings
from lptpp.config.stages import SCORER
from lptpp.data.dataset import ImageDataset
from lptpp.data.prepare import load_dataset
from lptpp.data.sources.files import read_json
from lptpp.inference.pipeline import features_of
from lptpp.models.build import build_mixture
from lptpp.training.fit import Training
from lptpp.training.loop import Position, Stage, train
from lptpp.utils import exchange, processes
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json
from lptpp.utils.text import duration

log = logging.getLogger("lptpp")
STEPS = 4  # timed per stage, the first of which is left out
PASSES = 8, 64  # images of the two timed passes without gradients
RESERVE = 0.1  # of the budget, for what is not timed: fitting the probes, writing the report, other work of the machine
Clock = Callable[[], float]  # seconds


def fit_epochs(settings: Settings, seconds: int, clock: Clock = time.perf_counter) -> Settings:
    """Return the settings with the epochs that fit into `seconds`; those of an earlier start for the same time.

    Raises:
        UserError: wrong settings or data, or the run was started without or for another time.
    """
    path = Path(settings.run) / BUDGET
    recorded = exchange.from_main(read_json(path, "the epochs of a time budget") if path.is_file() else None)
    if recorded and recorded["seconds"] == seconds:
        log.info("Epochs as chosen at the start for %s: %s.", duration(seconds), _described(recorded["epochs"]))
        return _with_epochs(settings, recorded["epochs"])
    if exchange.from_main(steps_of(Path(settings.run) / "checkpoint")):
        raise UserError(_started(settings.run, recorded, seconds))
    log.info("Measuring how many epochs fit into %s: a few steps and passes of each expert.", duration(seconds))
    began, dataset = clock(), load_dataset(settings)
    make_folder(path.parent)
    steps, fixed = exchange.from_main(measure(settings, dataset, clock))
    wanted = {phase: getattr(settings, phase).epochs for phase in steps}
    measuring, reserve = exchange.from_main(clock() - began), RESERVE * seconds
    epochs = fitting(seconds - measuring - fixed - reserve, steps, wanted)
    expected = measuring + fixed + reserve + sum(epochs[phase] * steps[phase] for phase in epochs)
    log.info(
        "Time budget %s: an epoch of all experts takes %s; measuring took %.0f s; the scorer, the evaluation and the"
        " probes take about %.0f s; %.0f s are kept in reserve. Epochs: %s; about %.0f s in all.",
        duration(seconds), ", ".join(f"{took:.1f} s in {phase}" for phase, took in steps.items()), measuring, fixed,
        reserve, _described(epochs), expected,
    )  # fmt: skip
    if expected > seconds:
        log.warning("One epoch of each phase already takes longer than the time budget of %s.", duration(seconds))
    if processes.is_main():
        write_json(path, {"seconds": seconds, "epochs": epochs, "seconds_per_epoch": steps, "fixed_seconds": fixed})
    return _with_epochs(settings, epochs)


def warn_about_few_epochs(seconds: int, settings: Settings, wanted: Settings) -> None:
    """Log a warning if a budget left less than half of the epochs that were `wanted`."""
    phases = [one for one in ("phase1", "phase2") if 2 * getattr(settings, one).epochs < getattr(wanted, one).epochs]
    if phases:
        left = [f"{getattr(settings, one).epochs} of {getattr(wanted, one).epochs} epochs of {one}" for one in phases]
        log.warning(
            "The time budget of %s left %s: more time may give a better model.", duration(seconds), " and ".join(left)
        )


def warn_about_overrun(seconds: int, taken: float) -> None:
    """Log a warning if a command took longer than its time budget."""
    if taken > seconds:
        log.warning("This took %s, longer than the time budget of %s.", duration(round(taken)), duration(seconds))


def _started(run: str, recorded: Mapping[str, Any] | None, seconds: int) -> str:
    """Return that a run was started without a budget or for another time, what is kept, and how to train again."""
    before, kept = "without --time", "its epochs"
    if recorded is not None:
        before, kept = f"with --time {duration(recorded['seconds'])}", f"its epochs ({_described(recorded['epochs'])})"
    return (
        f"{run} was started {before} and keeps {kept}: `lptpp fit {run}` resumes it or shows its result. To train again"
        f" with --time {duration(seconds)}, set another run=FOLDER or delete {run}."
    )


def fitting(seconds: float, steps: Mapping[str, float], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return the epochs by phase that fit into `seconds`, in the proportion of `wanted`, at least one each.

    `steps` are the seconds per epoch by phase. What rounding down leaves goes to further epochs, one phase after the
    other.
    """
    total = sum(wanted[phase] * steps[phase] for phase in steps)
    epochs = {phase: max(1, int(wanted[phase] * seconds / total)) for phase in steps}
    while (left := seconds - sum(epochs[phase] * steps[phase] for phase in steps)) < 0 and max(epochs.values()) > 1:
        epochs[max(epochs, key=epochs.__getitem__)] -= 1
    for phase, took in steps.items():
        if took <= left:
            epochs[phase], left = epochs[phase] + 1, left - took
    return epochs


def measure(settings: Settings, dataset: ImageDataset, clock: Clock) -> tuple[dict[str, float], float]:
    """Return the seconds per epoch of phases 1 and 2, over all experts, and about those of everything else."""
    loading = clock()
    mixture = build_mixture(settings, len(dataset.class_names))
    training = Training(settings, dataset, mixture, None)
    steps: dict[str, float] = {}
    fixed = clock() - loading  # the run does this again
    for key in mixture.stages():
        if key == SCORER:
            continue
        mixture.experts[key.owner].to(training.accelerator.device)
        began = clock()
        stage = training.stage(key)
        prepared = clock() - began  # the views that are computed once
        step = seconds_per_step(stage, training, clock)
        start, per_image = seconds_without_gradients(key.owner, training, clock)
        measured = settings.evaluation.each_epoch or settings.evaluation.keep == "best"
        validation = start + per_image * len(dataset.validation or ()) if measured else 0
        per_epoch = step * (stage.optimization.steps // stage.epochs) + validation
        trained = max(1, settings.phase3.folds)  # k folds, k − 1 of k parts each, and the run itself: k times
        steps[key.settings_key] = steps.get(key.settings_key, 0.0) + trained * per_epoch
        if key.phase == 1:
            passes = _passes(settings, dataset)
            fixed += prepared + start * len(passes) + per_image * sum(passes)
    return steps, fixed


def seconds_per_step(stage: Stage, training: Training, clock: Clock) -> float:
    """Return the median time of the first steps of a stage; the first counts only if it is alone."""
    timer = _Timer(clock)
    with suppress(_Enough):
        train(stage, training.accelerator, timer, training.settings.seed, Position(stage.key), None)
    taken = [after - before for before, after in pairwise(timer.times)]
    return statistics.median(taken[1:] or taken)


class _Enough(Exception):
    """The steps that are timed are done."""


class _Timer:
    """A recorder that notes the time of each step and stops after `STEPS`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.times = [clock()]

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        position.read()  # waits for the device
        self.times.append(self.clock())
        if len(self.times) > STEPS:
            raise _Enough

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Go on: a small data set needs several epochs."""


def seconds_without_gradients(name: str, training: Training, clock: Clock) -> tuple[float, float]:
    """Return the seconds that a pass of an expert over images takes to start, and those that each image takes."""
    expert, images = training.mixture.experts[name], training.inputs.cache
    few, many = (np.linspace(0, len(images) - 1, min(size, len(images))).astype(int) for size in PASSES)
    taken = []
    for chosen in (few, many):
        began = clock()
        features_of(lambda views: expert(views).cosines, expert, images.subset(chosen), training.runner, name)
        taken.append(clock() - began)
    each = max(0.0, taken[1] - taken[0]) / (len(many) - len(few)) if len(many) > len(few) else taken[1] / len(many)
    return max(0.0, taken[0] - each * len(few)), each


def _passes(settings: Settings, dataset: ImageDataset) -> list[int]:
    """Return the images of each pass of an expert without gradients: first classifier, scorer, evaluation, probes."""
    train, splits = len(dataset.train), dataset.splits()
    views = max(1, min(settings.phase3.views, settings.phase3.epochs)) if len(settings.experts) > 1 else 0
    probed = [len(images) for images in splits.values()] if set(settings.evaluation.baselines) - {"zero_shot"} else []
    return [train, *([train * views] if views else []), len(splits.get(settings.evaluation.split, ())), *probed]


def _with_epochs(settings: Settings, epochs: Mapping[str, int]) -> Settings:
    phases = {phase: replace(getattr(settings, phase), epochs=number) for phase, number in epochs.items()}
    return replace(settings, **phases)


def _described(epochs: Mapping[str, int]) -> str:
    return ", ".join(f"{number} in {phase}" for phase, number in epochs.items())
