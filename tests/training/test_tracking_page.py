"""The commands of docs/tracking.md run, in order, in a folder as a reader would have it."""

import shutil

from tests.docs.pages import ROOT, commands
from tests.presets import run_in_a_fork

PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
NO_SECTIONS = "from lptpp.report import page; page.SECTIONS = ()"
QUICK = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]", "track_every=1"]


def test_the_commands_run_without_a_warning(config, pictures, tmp_path):
    presets = tmp_path / "presets"
    presets.mkdir()
    shutil.copy(config, presets / "folder.yaml")
    shutil.copytree(pictures, tmp_path / "my_images")
    lines = [line for line in commands(PAGE) if " lptpp " in f" {line}" and not line.startswith("pip")]
    assert len(lines) == 3
    quick = [" ".join([line.replace("data.validation=0.2", "data.validation=0.4"), *QUICK]) for line in lines]
    _, errors = run_in_a_fork(quick, tmp_path, presets, NO_SECTIONS)
    assert "Warning" not in errors  # of a library; warnings of the data are in data_warnings.csv
    assert list(tmp_path.glob("runs/mine/tensorboard/events*"))
    assert list(tmp_path.glob("runs/mine_too/wandb/offline-run-*"))
    assert "validation_mean_class" in (tmp_path / "runs" / "watched" / "history.csv").read_text()
