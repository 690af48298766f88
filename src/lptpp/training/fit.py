"""A whole training run: data, experts, three phases, evaluation; resumes from the checkpoint in its run folder."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lptpp.checkpoint.digests import BackgroundDigests
from lptpp.checkpoint.identity import check_backbones, check_settings, fingerprints
from lptpp.checkpoint.images import record_images, run_dataset
from lptpp.checkpoint.lock import alone, refuse_if_held
from lptpp.checkpoint.store import Checkpoint, latest_checkpoint, load_tuned, remove_leftovers, steps
from lptpp.config import Settings, to_yaml
from lptpp.config.resolve import SETTINGS
from lptpp.config.stages import SCORER, StageKey
from lptpp.config.validate import written
from lptpp.data.dataset import ImageDataset
from lptpp.data.prepare import check_dataset, load_dataset, log_warnings, preprocessings
from lptpp.data.seen import sampled_size, sentences
from lptpp.evaluation.run import evaluated, newly_asked, other_options, write_evaluation
from lptpp.evaluation.tta import adjustment
from lptpp.inference.runtime import make_accelerator, place, runner_of, runner_on
from lptpp.losses import build_loss
from lptpp.models.build import build_mixture
from lptpp.models.mixture import Mixture
from lptpp.training.cached_views import check_stem
from lptpp.training.cross_fitting import CrossFitting
from lptpp.training.inputs import TrainingInputs, held_back
from lptpp.training.loop import Position, Stage, clocks, train
from lptpp.training.phases import start_head
from lptpp.training.recorder import RunRecorder, Validation, stopping_softly
from lptpp.training.scorer_phase import scorer_phase
from lptpp.training.tracking import check_tracker
from lptpp.utils import exchange, processes
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_text
from lptpp.utils.log_file import logging_to
from lptpp.utils.memory import cache_bytes

log = logging.getLogger("lptpp")


class FitResult(NamedTuple):
    """What `fit` returns."""

    metrics: dict[str, Any]  # as in metrics.json
    collection: ImageDataset
    trained: bool  # False if the run was already finished and evaluated


def fit(settings: Settings) -> FitResult:
    """Train all phases, from the start or from the checkpoint in the run folder; write and return the metrics.

    Raises:
        UserError: invalid settings or data, or a run folder of another run.
        Interrupted: the user stopped the run; everything is saved.
        Ended: another process of the run has ended.
    """
    processes.start(settings.shards)
    check_tracker(settings.tracker)
    folder = Path(settings.run)
    if processes.is_main():
        refuse_if_held(folder)
    seen = steps(folder / "checkpoint")
    checkpoint = latest_checkpoint(folder / "checkpoint")
    exchange.agree({"settings": to_yaml(settings), "checkpoints": repr(seen)})
    collection = _collection(settings, checkpoint)
    recorded = {} if checkpoint is None else checkpoint.manifest.get("revisions", {})
    mixture = build_mixture(settings, len(collection.class_names), recorded)
    if checkpoint is not None:
        check_backbones(checkpoint.manifest, mixture, folder)
    check_before_training(settings, collection, mixture)
    if checkpoint is not None and checkpoint.manifest["finished"] and (metrics := evaluated(settings)) is not None:
        log.info("%s is already finished: nothing to train.", folder)
        _log_options(settings, metrics)
        return FitResult(metrics, collection, trained=False)
    exchange.agree({"backbone weights": repr(fingerprints(mixture))})
    with _prepared(settings, collection, checkpoint, seen):
        return FitResult(_train(settings, collection, mixture, checkpoint), collection, trained=True)


@contextmanager
def _prepared(
    settings: Settings, collection: ImageDataset, checkpoint: Checkpoint | None, seen: list[int]
) -> Iterator[None]:
    """Hold the run folder, with the settings and the images of the run in it; all but the main process wait for it."""
    if not processes.is_main():
        exchange.barrier()
        yield
        return
    folder, finished = Path(settings.run), checkpoint is not None and checkpoint.manifest["finished"]
    make_folder(folder)
    with alone(folder):
        if steps(folder / "checkpoint") != seen:
            raise UserError(f"Another `lptpp fit` trained {folder} in the meantime: repeat the command to resume it.")
        remove_leftovers(folder)
        if not finished:
            _write_settings(settings)
        with logging_to(folder / "log.txt"):
            _log_start(collection, folder)
            _log_input(settings, collection)
            log_warnings(collection, settings)
            if checkpoint is None:
                record_images(settings, collection)
            exchange.barrier()
            yield
        _write_settings(settings)  # of a finished run, only with the evaluation that they ask for


def _collection(settings: Settings, checkpoint: Checkpoint | None) -> ImageDataset:
    """Return the images of a new run, or of the run of a checkpoint."""
    folder = Path(settings.run)
    if checkpoint is None:
        found = load_dataset(settings)
        exchange.agree({"images": _images(found)})
        return check_dataset(found, settings, folder / "skipped.csv")
    check_settings(checkpoint.manifest, settings, folder)
    with exchange.main_first():  # which notes the images that it reads
        return run_dataset(settings, checkpoint)


def _images(collection: ImageDataset) -> str:
    """Return a text that differs if the processes of a run see other classes, labels or numbers of images."""
    labels = {name: sha256(split.labels.tobytes()).hexdigest() for name, split in collection.splits().items()}
    return repr((collection.class_names, labels))


def _train(
    settings: Settings, collection: ImageDataset, mixture: Mixture, checkpoint: Checkpoint | None
) -> dict[str, Any]:
    """Train, evaluate, and return the metrics."""
    training = Training(settings, collection, mixture, before_scorer(checkpoint))
    main = processes.is_main()
    digests = BackgroundDigests(Path(settings.run) / "checkpoint", collection) if main else nullcontext()
    with digests as recording, stopping_softly(training.recorder), training.recorder.tracking as tracking:
        training.before_steps = (lambda: None) if recording is None else recording.begin
        training.run()
        runner = replace(runner_of(settings), before_batch=training.recorder.stop_if_asked)
        metrics = write_evaluation(settings, mixture, collection, runner)
        tracking.result(metrics)
    result: dict[str, Any] = exchange.from_main(metrics)  # that of the others lacks what only the main one computes
    return result


def _write_settings(settings: Settings) -> None:
    path, text = Path(settings.run) / SETTINGS, to_yaml(settings)
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        write_text(path, text)


def _log_start(collection: ImageDataset, folder: Path) -> None:
    splits = ", ".join(f"{len(split):,} {name}" for name, split in collection.splits().items())
    log.info("%d classes; images: %s. Run folder: %s", len(collection.class_names), splits, folder)


def _log_input(settings: Settings, collection: ImageDataset) -> None:
    if (median := sampled_size(collection.train.images)) is not None:
        log.info("%s", " ".join(sentences(preprocessings(settings), median)))


def _log_options(settings: Settings, metrics: dict[str, Any]) -> None:
    """Say with which settings the latest evaluation was made if it has others."""
    if others := other_options(settings, metrics):
        shown = " ".join(f"evaluation.{key}={written(value).replace(', ', ',')}" for key, value in others.items())
        log.info(
            "Its latest evaluation is shown, with other settings: %s. `lptpp evaluate %s` repeats it with those of"
            " the run.", shown, settings.run,
        )  # fmt: skip


def before_scorer(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint; if it is from within phase 3, at the beginning of phase 3."""
    if checkpoint is None or checkpoint.manifest["position"]["stage"] != str(SCORER) or checkpoint.manifest["finished"]:
        return checkpoint
    history = [line for line in checkpoint.manifest["history"] if line["stage"] != str(SCORER)]
    return replace(
        checkpoint, manifest={**checkpoint.manifest, "position": Position(SCORER).saved(), "history": history}
    )


def check_before_training(settings: Settings, collection: ImageDataset, mixture: Mixture) -> None:
    """Raise `UserError` for whatever would otherwise stop the run only after some of its training."""
    make_accelerator(settings.device, settings.precision)
    counts = collection.counts()
    adjustment(settings, collection.class_names, counts, fitted=lambda: 1.0)  # reads the files of priors
    for stream in (stream for phase in (settings.phase1, settings.phase2) for stream in (phase.main, phase.dual)):
        build_loss(stream.loss.name, torch.from_numpy(counts), 1.0, stream.loss.options)
    train, _ = held_back(collection.train, settings.phase3.held_back, settings.seed)
    if settings.phase3.folds and counts.max() < 2:
        raise UserError(f"phase3.folds={settings.phase3.folds}: no class has two images to divide into folds; use 0.")
    views = settings.augmentation.cached_views * len(train)
    for name, expert in mixture.experts.items() if views else ():
        check_stem(name, expert, views, cache_bytes(settings.data.memory_gb))


class Training:
    """The stages of a run, in order, from the position of the checkpoint."""

    def __init__(
        self, settings: Settings, collection: ImageDataset, mixture: Mixture, checkpoint: Checkpoint | None
    ) -> None:
        self.settings = settings
        self.collection = collection
        self.mixture = mixture
        self.checkpoint = checkpoint
        self.accelerator = make_accelerator(settings.device, settings.precision)
        place(mixture, self.accelerator, settings.tower_precision)
        self.recorder = RunRecorder(settings, mixture, collection, checkpoint)
        steady = runner_on(settings, self.accelerator)
        self.runner = replace(steady, before_batch=self.recorder.stop_if_asked)
        self.inputs = TrainingInputs(settings, collection, mixture, self.runner)
        self.folds = CrossFitting(settings, self.inputs, self.accelerator, lambda: self.recorder.stop_asked)
        self.before_steps: Callable[[], object] = lambda: None  # called before those of each stage
        if settings.evaluation.each_epoch or settings.evaluation.keep == "best":
            self.recorder.measure = Validation(mixture, collection, self.inputs.validation(), steady)

    def run(self) -> None:
        """Train the stages that are not finished."""
        stages = self.mixture.stages()
        position = self._restore() if self.checkpoint is not None else Position(stages[0])
        inside = position.epoch or position.batch
        optimizer_state = self.checkpoint.tensors("optimizer") if self.checkpoint is not None and inside else None
        for stage in stages[stages.index(position.stage) :]:
            at = position if stage == position.stage else Position(stage)
            if stage.phase == 1 and not (at.epoch or at.batch):
                self._start(stage.owner)
            self._run_stage(stage, at, optimizer_state if stage == position.stage else None)
        self.folds.remove()

    def _start(self, name: str) -> None:
        """Initialize the classifier of an expert before its phase 1; that of the next one waits, as it takes time."""
        expert = self.mixture.experts[name].to(self.accelerator.device)
        start_head(expert, self.settings.experts[name], self.inputs.frozen(name), self.collection.class_names)
        exchange.broadcast(self.mixture.tuned_state().values())

    def _restore(self) -> Position:
        assert self.checkpoint is not None
        load_tuned(self.mixture, self.checkpoint)
        position = Position.restored(self.checkpoint.manifest["position"])
        if self.checkpoint.manifest["finished"]:
            log.info("All phases are trained (%s): only the evaluation is left.", self.checkpoint.folder)
            if asked := newly_asked(self.settings):
                log.info("It is repeated: %s.", ", ".join(asked))
            return position
        log.info("Resuming from %s: %s.", self.checkpoint.folder, position.described(self.settings))
        return position

    def _run_stage(self, key: StageKey, position: Position, optimizer_state: dict[str, torch.Tensor] | None) -> None:
        if position.epoch >= getattr(self.settings, key.settings_key).epochs:
            return
        began = clocks()
        if key == SCORER:
            self._run_scorer(position, optimizer_state, began)
            return
        self._train(replace(self.stage(key), began=began), position, optimizer_state)

    def _run_scorer(
        self, position: Position, optimizer_state: dict[str, torch.Tensor] | None, began: tuple[float, float]
    ) -> None:
        """Train the scorer in the main process, on the outputs that all have computed."""
        data = self.folds.data() if self.settings.phase3.folds else self.inputs.scorer_data()
        if data is not None:
            stage = scorer_phase(self.mixture, data, self.settings.phase3, self.settings.seed)
            with processes.alone():
                self._train(replace(stage, began=began), position, optimizer_state)
        exchange.broadcast(self.mixture.tuned_state().values())

    def _train(self, stage: Stage, position: Position, optimizer_state: dict[str, torch.Tensor] | None) -> None:
        self.before_steps()
        with self.recorder.watching(stage, position):
            train(stage, self.accelerator, self.recorder, self.settings.seed, position, optimizer_state)

    def stage(self, key: StageKey) -> Stage:
        """Return the work of phase 1 or 2 of an expert."""
        return self.inputs.expert_stage(key, self.mixture.experts[key.owner])
