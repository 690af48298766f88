"""evaluation.keep=best: each stage ends with its best epoch on validation, resumed or not."""

import shutil
from pathlib import Path

import pytest
import torch

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.evaluation.run import evaluate_run
from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted, RunRecorder, Validation
from lptpp.utils.errors import UserError

METHOD = ["method=vpt_deep", "data.validation=0.3", "phase1.epochs=4", "evaluation.baselines=[]"]
MEASURED = [10.0, 40.0, 40.0, 20.0]  # mean class accuracy after each epoch: the second is best
BEST = [*METHOD, "evaluation.keep=best"]


@pytest.fixture
def measured(monkeypatch):
    """Let the validation split measure `MEASURED`; collects the weights of each epoch."""
    weights: list[dict[str, torch.Tensor]] = []

    def measure(self: Validation, stage) -> dict[str, float]:
        weights.append({name: tensor.clone() for name, tensor in self.mixture.tuned_state().items()})
        epoch = self.measured_epochs = getattr(self, "measured_epochs", START[0]) + 1
        return {"validation_overall": 0.0, "validation_mean_class": MEASURED[epoch - 1]}

    START[0] = 0
    monkeypatch.setattr(Validation, "__call__", measure)
    return weights


START = [0]  # epochs that were measured before a resumed run


def tuned(folder: Path) -> dict[str, torch.Tensor]:
    return latest_checkpoint(folder / "checkpoint").tensors("tuned")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


def test_the_stage_ends_with_the_weights_of_its_best_epoch(settings_of, tmp_path, measured):
    fit(settings_of(tmp_path, *BEST))
    assert same(tuned(tmp_path), measured[1])
    assert not same(measured[1], measured[3])
    lines = latest_checkpoint(tmp_path / "checkpoint").manifest["history"]
    assert [line["kept"] for line in lines] == [False, True, False, False]


def test_a_resumed_run_keeps_the_same_epoch(settings_of, tmp_path, measured, monkeypatch):
    fit(settings_of(tmp_path / "whole", *BEST))
    step = RunRecorder.step

    def stopped(self, position, optimizer):
        self.stop_asked = (position.epoch, position.batch) == (3, 1)
        step(self, position, optimizer)

    START[0] = 0
    monkeypatch.setattr(RunRecorder, "step", stopped)
    with pytest.raises(Interrupted):
        fit(settings_of(tmp_path / "stopped", *BEST))
    monkeypatch.setattr(RunRecorder, "step", step)
    START[0] = 3
    fit(settings_of(tmp_path / "stopped", *BEST))
    assert same(tuned(tmp_path / "stopped"), tuned(tmp_path / "whole"))


def test_without_a_validation_split_it_is_refused_with_advice(settings_of, tmp_path):
    with pytest.raises(UserError, match=r"evaluation\.keep=best: .*new run with data\.validation=0\.2"):
        fit(settings_of(tmp_path, "method=vpt_deep", "evaluation.keep=best"))


def test_it_cannot_change_after_training(trained, settings_of, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    with pytest.raises(UserError, match=r"evaluation\.keep=best cannot change"):
        evaluate_run(run, ["evaluation.keep=best"])
