"""The commands of docs/tracking.md run, in order, in a folder as a reader would have it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, commands

PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
QUICK = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]", "track_every=1"]


def test_the_commands_run_without_a_warning(config, pictures, tmp_path):
    (tmp_path / "configs").mkdir()
    shutil.copy(config, tmp_path / "configs" / "folder.yaml")
    shutil.copytree(pictures, tmp_path / "my_pictures")
    lines = [line for line in commands(PAGE) if " lptpp " in f" {line}" and not line.startswith("pip")]
    assert len(lines) == 3
    for line in lines:
        before, _, after = line.rpartition("lptpp ")
        environment = os.environ | dict(one.split("=") for one in before.split())
        words = shlex.split(after.replace("data.validation=0.2", "data.validation=0.4"))
        command = [Path(sys.executable).parent / "lptpp", *words, *QUICK]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr.lower()
    assert list(tmp_path.glob("runs/mine/tensorboard/events*"))
    assert list(tmp_path.glob("runs/mine_too/wandb/offline-run-*"))
    assert "validation_mean_class" in (tmp_path / "runs" / "watched" / "history.csv").read_text()
