"""A run that was stopped, however and wherever, ends with the same bits as one that was not."""

import shutil
from pathlib import Path

import pytest
import torch

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.training import recorder
from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted, RunRecorder
from lptpp.utils.errors import UserError

STAGES = ["visual/phase1", "visual/phase2", "language/phase1", "language/phase2", "mixture/phase3"]
SAVED = [f"{stage}, epoch {epoch}" for stage in STAGES for epoch in (1, 2)]
BARE = "evaluation.baselines=[]"


def tuned(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(folder / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.manifest["finished"]
    return checkpoint.tensors("tuned")


def history(folder: Path) -> list[tuple]:
    checkpoint = latest_checkpoint(folder / "checkpoint")
    assert checkpoint is not None
    return [(row["stage"], row["epoch"], row["loss"], row["learning_rate"]) for row in checkpoint.manifest["history"]]


def assert_same_run(folder: Path, trained: Path) -> None:
    found, expected = tuned(folder), tuned(trained)
    assert found.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert different == []
    assert history(folder) == history(trained)


def stop_at(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    """Ask for a stop, as Ctrl-C does, during this step of the first stage that gets there."""
    step = RunRecorder.step

    def asked(self, position, optimizer):
        self.stop_asked = (position.epoch, position.batch) == (epoch, batch)
        step(self, position, optimizer)

    monkeypatch.setattr(RunRecorder, "step", asked)


def test_the_unbroken_run_saves_after_each_epoch_of_each_stage(trained):
    found = [latest_checkpoint(copy / "checkpoint").manifest for copy in trained.checkpoints]
    positions = [(manifest["position"]["stage"], manifest["position"]["epoch"]) for manifest in found]
    assert [f"{stage}, epoch {epoch}" for stage, epoch in positions] == SAVED
    assert [manifest["finished"] for manifest in found] == [False] * 9 + [True]
    assert sorted(path.name for path in (trained.folder / "checkpoint").glob("*step*")) == ["step-27", "step-30"]


def test_every_stage_changes_only_its_own_weights(trained):
    states = [latest_checkpoint(copy / "checkpoint").tensors("tuned") for copy in trained.checkpoints]
    changed = [
        {name for name in after if not torch.equal(after[name], before[name])}
        for before, after in zip(states[0::2], states[1::2], strict=True)  # within a stage, from epoch 1 to epoch 2
    ]
    for stage, names in zip(STAGES, changed, strict=True):
        owner, phase = stage.split("/")
        own = {"phase1": ("shared", "adapters", "heads.0"), "phase2": ("groups", "heads.1"), "phase3": ("scorer",)}
        allowed = [key if owner == "mixture" else f"experts.{owner}" for key in own[phase]]
        assert names
        assert all(name.startswith(tuple(allowed)) for name in names)
        assert all(any(key in name for key in own[phase]) for name in names)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 7, 8, 9])  # of SAVED: within and between all kinds of stages
def test_killed_after_a_checkpoint_it_goes_on_to_the_same_weights(place, trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.checkpoints[place], tmp_path / "again"))
    fit(settings_of(folder, BARE))
    assert_same_run(folder, trained.folder)


@pytest.mark.parametrize("stage, batch", [(0, 1), (1, 1), (2, 2), (3, 2), (4, 1), (1, 3), (4, 3)])  # 3 is the last step
def test_stopped_within_an_epoch_it_goes_on_to_the_same_weights(
    stage, batch, trained, settings_of, tmp_path, monkeypatch
):
    folder = Path(shutil.copytree(trained.checkpoints[2 * stage], tmp_path / "again"))  # in it, after epoch 1
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=1, batch=batch)
        with pytest.raises(Interrupted):
            fit(settings_of(folder, BARE))
    position = latest_checkpoint(folder / "checkpoint").manifest["position"]
    assert (position["stage"], position["epoch"], position["batch"]) == (STAGES[stage], 1, batch)
    fit(settings_of(folder, BARE))
    assert_same_run(folder, trained.folder)


def test_stopped_at_its_very_first_step_it_goes_on_to_the_same_weights(trained, settings_of, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=0, batch=1)
        with pytest.raises(Interrupted):
            fit(settings_of(tmp_path, BARE))
    fit(settings_of(tmp_path, BARE))
    assert_same_run(tmp_path, trained.folder)


def test_killed_while_it_writes_a_checkpoint_it_goes_on_from_the_one_before(
    trained, settings_of, tmp_path, monkeypatch
):
    folder = Path(shutil.copytree(trained.checkpoints[6], tmp_path / "again"))
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "write_checkpoint", killed_before_its_manifest)
        with pytest.raises(KeyboardInterrupt):
            fit(settings_of(folder, BARE))
    assert list((folder / "checkpoint").glob(".step*.partial"))
    fit(settings_of(folder, BARE))
    assert_same_run(folder, trained.folder)
    assert sorted(path.name for path in (folder / "checkpoint").glob("*step*")) == ["step-27", "step-30"]


def killed_before_its_manifest(root, step, tensors, manifest, keep):
    (root / f".step-{step}.partial").mkdir()
    raise KeyboardInterrupt


def test_a_finished_run_is_not_trained_again(trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "again"))
    found = fit(settings_of(folder))
    assert not found.trained
    assert found.metrics["rows"] == trained.metrics["rows"]


def test_the_number_of_workers_changes_nothing(trained, settings_of, tmp_path):
    fit(settings_of(tmp_path, BARE, "workers=2"))
    assert_same_run(tmp_path, trained.folder)


@pytest.mark.parametrize(
    "override, message",
    [
        ("seed=1", "seed: 0 in the folder, 1 requested"),
        ("phase2.epochs=3", "phase2.epochs: 2 in the folder, 3 requested"),
        ("experts.visual.num_groups=4", "experts.visual.num_groups: 3 in the folder, 4 requested"),
        ("data.split_seed=1", "data.split_seed: 0 in the folder, 1 requested"),
        ("method=lpt", "method: lptpp in the folder, lpt requested"),
        ("phase2.main.loss.options.margin=0.2", "phase2.main.loss.options.margin: null in the folder, 0.2 requested"),
    ],
)
def test_other_settings_are_refused_by_their_key(override, message, trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.checkpoints[3], tmp_path / "again"))
    with pytest.raises(UserError, match="other settings") as error:
        fit(settings_of(folder, override))
    assert message in str(error.value)
    assert latest_checkpoint(folder / "checkpoint").manifest["step"] == 12  # nothing was touched


def test_settings_that_change_no_result_may_differ(trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "again"))
    metrics = fit(settings_of(folder, BARE, "data.memory_gb=0", "evaluation.shot_thresholds=[3,5]")).metrics
    assert metrics["shot_thresholds"] == [3, 5]
    assert_same_run(folder, trained.folder)


def test_pictures_may_move_but_others_are_refused(pictures, trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "again"))
    moved = Path(shutil.copytree(pictures, tmp_path / "moved"))
    fit(settings_of(folder, BARE, f"data.root={moved}"))
    (moved / "train" / "apple" / "0.png").unlink()
    with pytest.raises(UserError, match=r"1 missing: train/apple/0\.png"):
        fit(settings_of(folder, f"data.root={moved}"))


def test_a_run_without_parts_to_evaluate_is_refused_before_it_trains(pictures, settings_of, tmp_path):
    for part, overrides in (("test", [f"data.root={pictures / 'train'}", "data.test=0"]), ("validation", [])):
        with pytest.raises(UserError, match=rf"evaluation\.split={part}: .*data\.{part}=0\.2"):
            fit(settings_of(tmp_path, f"evaluation.split={part}", *overrides))
    assert list(tmp_path.iterdir()) == []


def test_dropout_and_class_aware_batches_go_on_to_the_same_weights(settings_of, tmp_path, monkeypatch, trained):
    chosen = ["method=lpt", BARE, "phase1.main.sampler=class_aware", "phase2.main.sampler=class_aware"]
    chosen += ["phase1.dropout=0.3", "phase2.dropout=0.3", "phase1.warmup_rate=0.001"]
    unbroken, broken, without = tmp_path / "unbroken", tmp_path / "broken", tmp_path / "without"
    fit(settings_of(unbroken, *chosen))
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=1, batch=1)
        for _ in range(2):  # in phase 1, then in phase 2
            with pytest.raises(Interrupted):
                fit(settings_of(broken, *chosen))
    fit(settings_of(broken, *chosen))
    assert_same_run(broken, unbroken)
    fit(settings_of(without, *chosen, "phase2.dropout=0"))
    changed = {name for name, tensor in tuned(without).items() if not torch.equal(tensor, tuned(unbroken)[name])}
    assert {name.split(".")[2] for name in changed} == {"encoder", "heads"}
    assert all("groups" in name or "heads.1" in name for name in changed)
