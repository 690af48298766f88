"""The examples of docs/extending.md run as they stand, and do what they say."""

import csv
import math
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from lptpp.config import load_settings, resolve
from lptpp.config.choices import LOSS_OPTIONS, SAMPLER_NAMES, SOURCE_NAMES, SOURCE_SETTINGS
from lptpp.data.sources import SOURCES
from lptpp.losses import LOSSES, build_loss
from lptpp.samplers import SAMPLERS, class_shares
from lptpp.utils.errors import UserError
from tests.conftest import COUNTS
from tests.docs.pages import ROOT, blocks, commands
from tests.presets import quick_presets
from tests.test_readme import tiny

pytestmark = pytest.mark.usefixtures("no_sections")
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = {section.split("\n")[0]: section for section in TEXT.split("\n## ")}
RARE = torch.tensor([50, 5, 0])


@pytest.fixture(autouse=True)
def tables_as_they_were() -> Iterator[None]:
    tables = (LOSSES, LOSS_OPTIONS, SAMPLERS, SOURCES, SOURCE_SETTINGS)
    before = [dict(table) for table in tables]
    names = [list(table) for table in (SAMPLER_NAMES, SOURCE_NAMES)]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    SAMPLER_NAMES[:], SOURCE_NAMES[:] = names


@pytest.fixture
def here(cards: Path, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: tiny settings, pictures of one's own, in one folder too."""
    folder = quick_presets(tmp_path / "presets", tiny(cards) | {"evaluation": {"baselines": []}})
    monkeypatch.setattr(resolve, "FOLDER", folder)
    shutil.copytree(pictures, tmp_path / "my_images")
    (tmp_path / "images_in_one_folder").mkdir()
    for path in (pictures / "train").rglob("*.png"):
        shutil.copy(path, tmp_path / "images_in_one_folder" / f"{path.parent.name}-{path.name}")
    shutil.copy(pictures / "test" / "dog" / "0.png", tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(title: str) -> None:
    """Write the file that a section shows."""
    (code,) = blocks(SECTION[title], "python")
    Path("mine.py").write_text(code, encoding="utf-8")


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `python mine.py ...` as a program."""
    program, file, *arguments = shlex.split(line)
    assert (program, file) == ("python", "mine.py")
    monkeypatch.setattr(sys, "argv", [file, *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(file, run_name="__main__")
    assert ended.value.code == 0, line


def run_section(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(title)
    lines = commands(SECTION[title])
    assert lines
    for line in lines:
        run(line, monkeypatch)


def losses_of(run_folder: str, stage: str) -> list[float]:
    with Path(run_folder, "history.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["stage"] == stage]


def test_a_loss(here, monkeypatch, capsys):
    run_section("A loss", monkeypatch)
    assert "accuracy in %" in capsys.readouterr().out
    assert all(math.isfinite(loss) for loss in losses_of("runs/poly", "visual/phase1"))
    assert load_settings("runs/poly/config.yaml").phase1.main.loss.options == {"epsilon": 2}
    z, labels = torch.randn(6, 3).div(3).clamp(-1, 1), torch.tensor([0, 1, 2, 0, 0, 1])
    found = build_loss("poly", RARE, 20.0, {"epsilon": 2})(z, labels)
    p = F.softmax(20 * z.double(), dim=1)
    expected = sum(-math.log(p[i, y]) + 2 * (1 - p[i, y]) for i, y in enumerate(labels.tolist())) / 6
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    del LOSS_OPTIONS["poly"]  # as in plain lptpp
    with pytest.raises(UserError, match=r"phase1\.main\.loss\.name=poly: "):
        load_settings("runs/poly/config.yaml")


def test_a_sampler(here, monkeypatch, capsys):
    run_section("A sampler", monkeypatch)
    assert load_settings("runs/cube/config.yaml").phase2.main.sampler == "cube_root"
    assert len(losses_of("runs/cube", "visual/phase2")) == 1
    np.testing.assert_allclose(class_shares(np.array([1000, 27, 0, 1]), "cube_root"), np.array([10, 3, 0, 1]) / 14)


def test_a_source(here, monkeypatch, capsys):
    run_section("A source of images", monkeypatch)
    with Path("runs/named/per_class.csv").open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert rows.keys() == COUNTS.keys()
    drawn = {name: min(count - 1, round(0.2 * count)) for name, count in COUNTS.items()}
    found = {name: int(row["training_images"]) for name, row in rows.items()}
    assert found == {name: count - drawn[name] for name, count in COUNTS.items()}


def test_a_source_that_finds_nothing_says_so(here):
    write("A source of images")
    by_file_name = runpy.run_path("mine.py")["by_file_name"]
    with pytest.raises(UserError, match=r"contains no file CLASS-NUMBER\.png"):
        by_file_name(str(here), 0.2, 0)


@pytest.mark.filterwarnings("ignore:Overwriting vit_micro")  # the file runs three times in this process
def test_a_backbone(here, monkeypatch, capsys):
    write("A backbone")
    torch.manual_seed(0)
    tower = runpy.run_path("mine.py")["vit_micro"]()
    save_file(tower.state_dict(), "vit_micro.safetensors")
    run_section("A backbone", monkeypatch)
    assert len(losses_of("runs/micro", "visual/phase2")) == 1
    with Path("predictions.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["label_1"] in COUNTS


def test_what_the_table_of_places_names_is_there():
    for name in re.findall(r"`((?:src|tests)/[\w/.]+)`", SECTION["Into the package"]):
        assert (ROOT / name).exists(), name
