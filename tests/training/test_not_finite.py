import shutil
from pathlib import Path

import pytest

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.training.dual_sampling import ExpertTask
from lptpp.training.fit import fit
from lptpp.training.scorer_phase import ScorerTask
from lptpp.utils.errors import UserError


def spoil(monkeypatch, task: type, value: float) -> None:
    """Make the loss of the second epoch `value`, from its first step on."""
    forward = task.forward

    def spoiled(self, inputs, labels, epoch, stream):
        return forward(self, inputs, labels, epoch, stream) * (value if epoch == 1 else 1)

    monkeypatch.setattr(task, "forward", spoiled)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place, stage", [(0, "visual/phase1"), (6, "language/phase2")])
def test_a_loss_that_is_not_finite_stops_the_run(
    value, place, stage, trained, settings_of, pictures, tmp_path, monkeypatch
):
    folder = Path(shutil.copytree(trained.checkpoints[place], tmp_path / "again"))
    before = latest_checkpoint(folder / "checkpoint").manifest
    spoil(monkeypatch, ExpertTask, value)
    with pytest.raises(UserError) as error:
        fit(settings_of(folder))
    message = str(error.value)
    assert f"{'nan' if value != value else 'inf'} in {stage}, epoch 2, step 1, on {pictures}" in message
    assert latest_checkpoint(folder / "checkpoint").manifest == before


def test_so_does_the_scorers(trained, settings_of, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(trained.checkpoints[8], tmp_path / "again"))
    spoil(monkeypatch, ScorerTask, float("nan"))
    with pytest.raises(UserError, match="nan in mixture/phase3, epoch 2, step 1, on expert outputs"):
        fit(settings_of(folder))
    assert latest_checkpoint(folder / "checkpoint").manifest["position"]["epoch"] == 1
