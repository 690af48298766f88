"""File and class names with control characters and formulas: shown as escape sequences, and exact in files."""

import io
import re
from pathlib import Path

import pytest
from rich.progress import Progress

from lptpp.evaluation.prior import read_prior
from lptpp.prediction.inputs import expand
from lptpp.utils import progress
from lptpp.utils.io import read_csv
from lptpp.utils.progress import Terminal, progress_bar
from tests.conftest import draw_picture
from tests.presets import run_lptpp

CLASSES = ["=1+1", "a\x1b[31mred", "b\nError: no", "c\u202egnp", "d\rover [bold]", "e\ttab"]
UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def assert_shown(text: str) -> None:
    """Check that names neither control a terminal nor begin a line of their own."""
    assert not UNSAFE.search(text), repr(UNSAFE.search(text))
    assert "\nError: no" not in text


@pytest.fixture
def hostile(tmp_path) -> Path:
    root = tmp_path / "data"
    for label, name in enumerate(CLASSES):
        for number in range(3):
            draw_picture(root / "train" / name / f"{number}{name}.png", label, 10 * label + number)
        draw_picture(root / "test" / name / f"-{name}.png", label, 10 * label + 5)
    (root / "test" / CLASSES[2] / "\x1b]0;x\x07.txt").touch()  # a file of another kind
    return root


def test_all_commands_show_names_and_files_have_them_exactly(hostile, config, tmp_path, capsys):
    run, found = tmp_path / "run", tmp_path / "found.csv"
    settings = [config, f"data.root={hostile}", "method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"]
    gone = hostile / "gone\x1b.png"
    gone.touch()
    images = sorted(hostile.glob("test/*/*.png"))
    for arguments in (
        ["data", *settings, "-o", tmp_path / "tables"],
        ["fit", *settings, f"run={run}"],
        ["predict", run, hostile / "test", "-o", found],
        ["predict", run, *images[:3]],
        ["predict", run, images[0], gone],
        ["predict", run, hostile / "no\nError: no"],
        ["compare", run, run, "-o", tmp_path / "compared.csv"],
        ["evaluate", run, "--on", hostile / "test", "--name", "new"],
    ):
        run_lptpp(*arguments)
        out, err = capsys.readouterr()
        assert_shown(out)
        assert_shown(err)
        assert arguments[0] == "compare" or r"\x1b[31mred" in out + err or "no\\nError: no" in err
    (hostile / "test" / CLASSES[0] / "cut\nError: no.png").touch()
    run_lptpp("evaluate", run, "--on", hostile / "test")
    *_, head, image = capsys.readouterr().err.splitlines()  # the line break of the message, not that of the name
    assert head.startswith("Error: --on: 1 unreadable image: fix or remove it")
    assert image.endswith(r"cut\nError: no.png: cannot be read: the file is empty")
    assert_shown((run / "log.txt").read_text())
    names = {str(path) for path in images}
    assert {row["image"] for row in read_csv(found)} == names
    assert {row["label_1"] for row in read_csv(found)} <= set(CLASSES)
    for folder in (run, run / "evaluations" / "new"):
        assert [row["class"] for row in read_csv(folder / "per_class.csv")] == CLASSES
        assert sorted(row["true"] for row in read_csv(folder / "predictions.csv")) == sorted(CLASSES)
        assert "'=1+1" in (folder / "per_class.csv").read_text()
    assert sorted(row["class"] for row in read_csv(tmp_path / "tables" / "classes.csv")) == sorted(CLASSES)


def test_formulas_as_they_are_if_asked_for(hostile, config, tmp_path):
    run, found = tmp_path / "run", tmp_path / "found.csv"
    settings = [config, f"data.root={hostile}", "method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"]
    assert run_lptpp("fit", *settings, f"run={run}", "evaluation.escape_formulas=false") == 0
    assert [row["class"] for row in read_csv(run / "per_class.csv", formulas=True)] == CLASSES
    assert "'=1+1" not in (run / "per_class.csv").read_text()
    assert run_lptpp("report", run) == 0  # reads them back
    assert run_lptpp("predict", run, hostile / "test", "-o", found, "-k", 6, "--no-escape-formulas") == 0
    assert {row[f"label_{k}"] for row in read_csv(found, formulas=True) for k in range(1, 7)} == set(CLASSES)


def test_files_that_are_read_may_have_escaped_names(tmp_path):
    (tmp_path / "prior.csv").write_text("'=oak,3\n'@elm,1\n")
    assert read_prior(tmp_path / "prior.csv", ["=oak", "'@elm"]).tolist() == [0.75, 0.25]
    (tmp_path / "=oak.png").touch()
    (tmp_path / "list.csv").write_text("image\n'=oak.png\n")
    assert [one.path for one in expand([tmp_path / "list.csv"])] == [str(tmp_path / "=oak.png")]


def test_a_progress_bar_shows_names(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", Terminal(file=file, force_terminal=True, width=200, color_system=None))
    with progress_bar("a\x1b[31m\n[/x]", 3) as bar:
        bar.advance(note="\u202e[bold]\x07")
        assert isinstance(bar.progress, Progress)
        bar.progress.refresh()
    text = file.getvalue()
    assert r"a\x1b[31m\n[/x]" in text
    assert r"\u202e[bold]\x07" in text
    assert "\x1b[31m" not in text
