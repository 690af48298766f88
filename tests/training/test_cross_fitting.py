"""Cross-fitted outputs: every image is seen by experts that were not trained on it."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.data.prepare import load_dataset
from lptpp.inference import pipeline
from lptpp.models.build import build_mixture
from lptpp.training import cross_fitting as cross_fitting_module
from lptpp.training import inputs
from lptpp.training.cross_fitting import FOLDER, CrossFitting, fold_of
from lptpp.training.fit import Training, fit
from lptpp.training.recorder import RunRecorder
from lptpp.training.scorer_phase import ScorerData
from lptpp.utils import progress
from lptpp.utils.errors import Interrupted, UserError

MIXING = "evaluation.controls=[mixing]"
QUICK = ("phase1.epochs=1", "phase2.epochs=1")
FOLDS = (*QUICK, "phase3.folds=2", "phase3.views=0", "phase3.reads=confidences")


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_dealt_class_by_class_and_leave_every_class_an_image(folds):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [30, 7, 3, 2, 1]))
    found = fold_of(labels, folds, seed=0)
    for label in range(5):
        of_class = found[labels == label]
        if len(of_class) == 1:
            assert of_class.tolist() == [-1]
            continue
        sizes = np.bincount(of_class, minlength=folds)
        assert sizes.sum() == len(of_class) and sizes.max() - sizes.min() <= 1 and sizes.max() < len(of_class)
    assert found.tolist() == fold_of(labels, folds, seed=0).tolist() != fold_of(labels, folds, seed=1).tolist()


def training(settings, kept: np.ndarray | None = None) -> Training:
    """Return the training of a run on its training images, or on some of them alone."""
    collection = load_dataset(settings)
    if kept is not None:
        collection = replace(collection, train=collection.train.subset(kept))
    Path(settings.run).mkdir(exist_ok=True)
    return Training(settings, collection, build_mixture(settings, len(collection.class_names)), None)


def cross_fitting(made: Training, stop: bool = False) -> CrossFitting:
    return CrossFitting(made.settings, made.inputs, made.accelerator, lambda: stop)


def test_outputs_of_a_fold_are_those_of_a_run_on_the_other_folds(settings_of, tmp_path):
    made = training(settings_of(tmp_path / "run", *FOLDS))
    data, labels = cross_fitting(made).data(), made.inputs.cache.split.labels
    folds = fold_of(labels, 2, made.settings.seed)
    rows = made.inputs.scorer_draws(np.flatnonzero(folds >= 0)).taken()
    assert data.targets.tolist() == labels[rows].tolist()
    for fold in range(2):
        alone = training(settings_of(tmp_path / f"other{fold}", *QUICK), np.flatnonzero(folds != fold))
        alone.run()
        outputs = made.inputs.scorer_outputs(alone.mixture, rows[folds[rows] == fold])
        found = data.confidences[torch.from_numpy(folds[rows] == fold)]
        torch.testing.assert_close(found, outputs.confidences, rtol=1e-4, atol=1e-5)


def test_the_progress_names_phase_and_fold(settings_of, tmp_path, monkeypatch):
    shown: list[str] = []
    progress_bar = progress.progress_bar
    for module in (cross_fitting_module, inputs, pipeline):
        monkeypatch.setattr(
            module,
            "progress_bar",
            lambda text, *rest, **options: shown.append(text) or progress_bar(text, *rest, **options),
        )
    for views in (0, 2):
        shown.clear()
        cross_fitting(training(settings_of(tmp_path / f"run{views}", *FOLDS, f"phase3.views={views}"))).data()
        outputs = [text for text in shown if "expert outputs" in text]
        assert outputs == [f"Phase 3: expert outputs, fold {fold} of 2" for fold in (1, 2)]
        assert "Phase 3: visual/phase1, fold 1 of 2" in shown


def test_more_folds_than_images_of_any_class_leave_some_without_an_image(settings_of, tmp_path):
    made = training(settings_of(tmp_path / "run", *FOLDS, "phase3.folds=12"))
    data = cross_fitting(made).data()
    assert data.targets.tolist() == made.inputs.cache.split.labels[
        made.inputs.scorer_draws(np.flatnonzero(fold_of(made.inputs.cache.split.labels, 12, 0) >= 0)).taken()
    ].tolist()  # fmt: skip


def test_classes_of_one_image_are_refused_before_training(settings_of, tmp_path, pictures):
    root = tmp_path / "single"
    for name in ("apple", "bear"):
        (root / "train" / name).mkdir(parents=True)
        shutil.copy(pictures / "train" / name / "0.png", root / "train" / name)
        shutil.copytree(pictures / "test" / name, root / "test" / name)
    with pytest.raises(UserError, match=r"phase3\.folds=2: "):
        fit(settings_of(tmp_path / "run", *FOLDS, f"data.root={root}"))
    assert not (tmp_path / "run" / "checkpoint").exists()


def places(folder: Path) -> list[tuple[str, str, int]]:
    """Return where the unfinished folds of a run are."""
    found = [latest_checkpoint(one).manifest for one in sorted((folder / "cross_fitting").glob("fold-*"))]
    positions = [manifest["position"] for manifest in found if "position" in manifest]
    return [(one["stage"], one["epoch"], one["batch"]) for one in positions]


@pytest.fixture(scope="module")
def finished(settings_of, tmp_path_factory) -> tuple[Path, ScorerData]:
    """Return a run with folds that nothing interrupts, and the data of its scorer."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, cross_fitting(training(settings_of(folder, *FOLDS))).data()


@pytest.fixture
def whole(finished) -> ScorerData:
    return finished[1]


def assert_same(found: ScorerData, expected: ScorerData) -> None:
    assert torch.equal(found.confidences, expected.confidences)
    assert torch.equal(found.targets, expected.targets)
    assert all(torch.equal(*pair) for pair in zip(found.features, expected.features, strict=True))


def test_a_fold_that_is_stopped_at_every_other_step_resumes_to_the_same_bits(settings_of, tmp_path, whole):
    made = training(settings_of(tmp_path / "run", *FOLDS))
    seen, asked = [], iter(range(1000))
    for _ in range(100):
        folds = CrossFitting(made.settings, made.inputs, made.accelerator, lambda: next(asked) % 2 == 1)
        try:
            found = folds.data()
            break
        except Interrupted:
            seen += places(tmp_path / "run")
    stages = {f"{name}/{phase}" for name in ("visual", "language") for phase in ("phase1", "phase2")}
    assert {stage for stage, _, _ in seen} == stages
    assert len(seen) >= 6
    assert_same(found, whole)


def test_a_killed_fold_loses_a_few_minutes(settings_of, tmp_path, whole):
    """Each look at the clock takes two minutes; the process ends at the fifth step of the second fold."""
    made = training(settings_of(tmp_path / "run", *FOLDS))
    minutes, steps = iter(range(0, 10_000, 2)), iter(range(1000))

    def killed() -> bool:
        if next(steps) == 12:
            raise MemoryError
        return False

    with pytest.raises(MemoryError):
        CrossFitting(made.settings, made.inputs, made.accelerator, killed, lambda: 60.0 * next(minutes)).data()
    assert len(places(tmp_path / "run")) == 1
    assert_same(cross_fitting(made).data(), whole)


def test_finished_folds_are_read_and_those_of_another_run_are_not(settings_of, tmp_path, finished, monkeypatch, caplog):
    folder, whole = finished
    shutil.copytree(folder / "cross_fitting", tmp_path / "run" / "cross_fitting")
    trained = []
    monkeypatch.setattr(CrossFitting, "_trained", lambda self, fold, *more: trained.append(fold))
    assert_same(cross_fitting(training(settings_of(tmp_path / "run", *FOLDS))).data(), whole)
    assert trained == []
    with caplog.at_level(logging.INFO, "lptpp"), pytest.raises(AttributeError):
        cross_fitting(training(settings_of(tmp_path / "run", *FOLDS, "seed=1"))).data()
    assert trained == [0]
    assert "of another run" in caplog.text


def test_a_run_with_folds_stopped_in_phase_3_ends_with_the_same_bits(settings_of, tmp_path, monkeypatch):
    options = (*FOLDS, "phase3.check=0.3", "phase3.epochs=3", "evaluation.baselines=[]", "experts.visual.keys=kmeans")
    fit(settings_of(tmp_path / "whole", *options))
    step = RunRecorder.step

    def asked(self, position, optimizer):
        self.stop_asked = (str(position.stage), position.epoch) == ("mixture/phase3", 1)
        step(self, position, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "step", asked)
        with pytest.raises(Interrupted):
            fit(settings_of(tmp_path / "stopped", *options))
    fit(settings_of(tmp_path / "stopped", *options))
    whole, stopped = (latest_checkpoint(tmp_path / name / "checkpoint") for name in ("whole", "stopped"))
    assert whole is not None and stopped is not None
    expected, found = whole.tensors("tuned"), stopped.tensors("tuned")
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert [line["stage"] for line in stopped.manifest["history"]] == [
        line["stage"] for line in whole.manifest["history"]
    ]
    assert not list(tmp_path.rglob("fold-*"))  # removed at the end


@pytest.mark.parametrize(
    "wrong",
    [
        ("phase3.folds=1",),
        ("phase3.folds=2", "phase3.held_back=0.2"),
        ("phase3.folds=2", "experts.visual.tune_backbone=true", "experts.visual.group_prompts=0"),
    ],
)
def test_folds_that_contradict_other_settings_are_refused(wrong, settings_of, tmp_path):
    with pytest.raises(UserError, match=r"phase3\.folds"):
        settings_of(tmp_path, *wrong)


def test_other_controls_in_the_middle_leave_the_scores_of_the_true_classes(settings_of, tmp_path):
    folds = [one for one in FOLDS if "reads" not in one]
    whole, asked = (training(settings_of(tmp_path / "run", *folds, *more)) for more in ([], [MIXING]))
    expected = cross_fitting(whole).data()
    shutil.rmtree(tmp_path / "run" / FOLDER / "fold-1")  # as if stopped before it
    found = cross_fitting(asked).data()
    assert found.confidences.shape[2] == 1
    torch.testing.assert_close(found.confidences, expected.confidences)
    assert found.targets.tolist() == expected.targets.tolist()
