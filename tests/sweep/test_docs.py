"""The commands and the space of docs/sweep.md and the shipped spaces run, in a folder as a reader would have it."""

import shlex
import shutil
from pathlib import Path

import pytest

from lptpp.config import load_settings, resolve
from lptpp.config.resolve import SPACES
from lptpp.sweep.plan import make_plan
from tests.docs.pages import ROOT, blocks, commands
from tests.presets import SHIPPED, change, quick_presets, run_lptpp

pytestmark = pytest.mark.usefixtures("no_sections")
PAGE = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
SHIPPED_SPACES = sorted((SHIPPED / SPACES).glob("*.yaml"))


@pytest.fixture(scope="module")
def presets(config, tmp_path_factory) -> Path:
    folder = quick_presets(tmp_path_factory.mktemp("quick") / "presets", {})
    change(Path(shutil.copy(config, folder / "folder.yaml")), {"evaluation": {"baselines": []}})
    epochs = {"low": 1, "high": 2}
    change(folder / SPACES / "lptpp.yaml", {"phase1.epochs": epochs, "phase2.epochs": epochs})
    return folder


@pytest.fixture
def reader(presets, pictures, tmp_path, monkeypatch) -> Path:
    shutil.copytree(pictures, tmp_path / "my_images")
    monkeypatch.setattr(resolve, "FOLDER", presets)
    return tmp_path


def test_the_commands_run_and_leave_what_the_page_says(reader, monkeypatch, capsys, recwarn):
    monkeypatch.chdir(reader)
    lines = [line for line in commands(PAGE) if line.startswith("lptpp")]
    assert [line.split()[1] for line in lines] == ["sweep", "fit"]
    for line in lines:
        quick = line.replace("--trials 20", "--trials 2").replace("data.validation=0.2", "data.validation=0.4")
        assert run_lptpp(*shlex.split(quick)[1:]) == 0, capsys.readouterr().err
    assert [str(one.message) for one in recwarn if issubclass(one.category, UserWarning)] == []
    for name in ("best.yaml", "trials.csv", "trial-001", "study.jsonl", "sweep.json"):
        assert f"`{name}`" in PAGE
        assert (reader / "runs" / "sweep" / name).exists()
    assert (reader / "runs" / "sweep" / "best" / "metrics.json").is_file()


def test_the_space_of_the_page_and_those_shipped_fit_the_settings(reader, monkeypatch):
    monkeypatch.chdir(reader)
    (reader / "space.yaml").write_text(blocks(PAGE, "yaml")[0])
    overrides = ("data.root=my_images", "data.validation=0.4")
    for path in (reader / "space.yaml", *SHIPPED_SPACES):
        plan = make_plan("folder", overrides, path, "mean_class", None, reader / "sweep")
        assert plan.space


@pytest.mark.parametrize("path", SHIPPED_SPACES, ids=lambda path: path.stem)
def test_a_shipped_space_holds_the_values_of_the_demo(path, reader, monkeypatch):
    """Its head says that it lies around them."""
    monkeypatch.chdir(reader)
    demo = load_settings(SHIPPED / "emoji.yaml")
    plan = make_plan("folder", ("data.root=my_images", "data.validation=0.4"), path, "few", None, reader)
    for key, distribution in plan.space.items():
        value = demo
        for part in key.split("."):
            value = value[part] if isinstance(value, dict) else getattr(value, part)
        choices = getattr(distribution, "choices", None)
        inside = f'"{value}"' in choices or str(value) in choices if choices else distribution._contains(value)
        assert inside, (key, value)
    assert "lptpp sweep emoji" in path.read_text(encoding="utf-8")
