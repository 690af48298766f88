"""The commands of docs/tracking.md run, in order, in a folder as a reader would have it."""

import os
import shlex
import shutil
import subprocess

from tests.docs.pages import ROOT, commands
from tests.presets import lptpp_with

PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
QUICK = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]", "track_every=1"]


def test_the_commands_run_without_a_warning(config, pictures, tmp_path):
    presets = tmp_path / "presets"
    presets.mkdir()
    shutil.copy(config, presets / "folder.yaml")
    shutil.copytree(pictures, tmp_path / "my_images")
    lines = [line for line in commands(PAGE) if " lptpp " in f" {line}" and not line.startswith("pip")]
    assert len(lines) == 3
    for line in lines:
        before, _, after = line.rpartition("lptpp ")
        environment = os.environ | dict(one.split("=") for one in before.split())
        words = shlex.split(after.replace("data.validation=0.2", "data.validation=0.4"))
        command = [*lptpp_with(presets), *words, *QUICK]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr.lower()
    assert list(tmp_path.glob("runs/mine/tensorboard/events*"))
    assert list(tmp_path.glob("runs/mine_too/wandb/offline-run-*"))
    assert "validation_mean_class" in (tmp_path / "runs" / "watched" / "history.csv").read_text()
