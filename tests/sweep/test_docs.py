"""The commands and the space of docs/sweep.md and configs/sweeps run, in a folder as a reader would have it."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lptpp.config import load_settings
from lptpp.sweep.plan import make_plan
from tests.docs.pages import ROOT, blocks, commands

PAGE = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
SPACES = sorted((ROOT / "configs" / "sweeps").glob("*.yaml"))


@pytest.fixture
def reader(config, pictures, tmp_path) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(config, tmp_path / "configs" / "folder.yaml")  # a tiny one in the place of the shipped one
    shutil.copytree(pictures, tmp_path / "my_pictures")
    return tmp_path


def test_the_commands_run_and_leave_what_the_page_says(reader):
    lines = [line for line in commands(PAGE) if line.startswith("lptpp")]
    assert [line.split()[1] for line in lines] == ["sweep", "fit"]
    for line in lines:
        quick = line.replace("--trials 20", "--trials 2").replace("data.validation=0.2", "data.validation=0.4")
        command = [Path(sys.executable).parent / "lptpp", *shlex.split(quick)[1:]]
        done = subprocess.run(command, cwd=reader, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    for name in ("best.yaml", "trials.csv", "trial-001", "study.jsonl", "sweep.json"):
        assert f"`{name}`" in PAGE
        assert (reader / "runs" / "sweep" / name).exists()
    assert (reader / "runs" / "sweep" / "best" / "metrics.json").is_file()


def test_the_space_of_the_page_and_those_shipped_fit_the_settings(reader, monkeypatch):
    monkeypatch.chdir(reader)
    (reader / "space.yaml").write_text(blocks(PAGE, "yaml")[0])
    overrides = ("data.root=my_pictures", "data.validation=0.4")
    for path in (reader / "space.yaml", *SPACES):
        plan = make_plan("configs/folder.yaml", overrides, path, "mean_class", None, reader / "sweep")
        assert plan.space


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_shipped_space_holds_the_values_of_the_demo(path, reader, monkeypatch):
    """Its head says that it lies around them."""
    monkeypatch.chdir(reader)
    demo = load_settings(ROOT / "configs" / "emoji.yaml")
    plan = make_plan("configs/folder.yaml", ("data.root=my_pictures", "data.validation=0.4"), path, "few", None, reader)
    for key, distribution in plan.space.items():
        value = demo
        for part in key.split("."):
            value = value[part] if isinstance(value, dict) else getattr(value, part)
        choices = getattr(distribution, "choices", None)
        inside = f'"{value}"' in choices or str(value) in choices if choices else distribution._contains(value)
        assert inside, (key, value)
    assert "lptpp sweep configs/emoji.yaml" in path.read_text(encoding="utf-8")
