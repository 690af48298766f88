"""Files that are added, renamed or replaced after training, as users do: the run is never evaluated on other images."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.cli import main
from lptpp.config import Settings
from lptpp.data.prepare import load_dataset
from lptpp.evaluation.run import evaluate_run
from lptpp.report.gather import gather
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError
from tests.conftest import draw_picture

QUICK = ("method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]")


@pytest.fixture
def root(tmp_path) -> Path:
    for label, (name, count) in enumerate({"elm": 10, "oak": 15}.items()):
        for number in range(count):
            draw_picture(tmp_path / "d" / name / f"{number}.png", label, 100 * label + number)
    return tmp_path / "d"


@pytest.fixture
def fitted(root, settings_of, tmp_path) -> Settings:
    settings = settings_of(tmp_path / "run", *QUICK, f"data.root={root}")
    fit(settings)
    return settings


def predicted(run: Path) -> set[str]:
    with (run / "predictions.csv").open() as file:
        return {row["image"] for row in csv.DictReader(file)}


def renamed(root: Path) -> None:
    for name in ("oak", "elm"):
        for number in range(5):
            (root / name / f"{number}.png").rename(root / name / f"z{number}.png")


def added(root: Path) -> None:
    for name in ("oak", "elm"):
        for number in range(3):
            draw_picture(root / name / f"added{number}.png", 0, 1000 + number)
            draw_picture(root / name / f"00{number}.png", 0, 2000 + number)


@pytest.mark.parametrize(
    "change, message",
    [
        (renamed, r"10 added: elm/z0\.png, elm/z1\.png, elm/z2\.png and 7 more; 10 missing: elm/0\.png, "),
        (added, r"12 added: elm/000\.png, elm/001\.png, elm/002\.png and 9 more\)"),
    ],
)
def test_neither_evaluate_nor_fit_takes_another_test_split(
    change: Callable[[Path], None], message: str, root, fitted, settings_of
):
    run = Path(fitted.run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "config.yaml"}
    trained_on = {str(image) for image in load_dataset(fitted).train.images}
    change(root)
    drawn_anew = {str(image) for image in load_dataset(fitted).test.images}
    assert drawn_anew & trained_on or change is renamed  # what would be tested if the split were drawn again
    for command in (lambda: evaluate_run(run), lambda: fit(fitted)):
        with pytest.raises(UserError, match=message):
            command()
    assert before == {path: path.read_bytes() for path in before}
    assert gather(run).images is None


def test_fit_does_not_resume_on_other_images_of_the_same_counts(root, fitted, settings_of):
    checkpoint = latest_checkpoint(Path(fitted.run) / "checkpoint")
    assert checkpoint is not None
    draw_picture(root / "oak" / "3.png", 0, 5000)
    with pytest.raises(UserError, match=r"1 changed: oak/3\.png"):
        fit(fitted)


def test_the_command_line_says_it_in_one_sentence(root, fitted, monkeypatch, capsys):
    renamed(root)
    monkeypatch.setattr("sys.argv", ["lptpp", "evaluate", fitted.run])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"Error: {fitted.run} was trained on other images")


def test_a_run_is_evaluated_on_the_images_it_began_with(fitted):
    before = predicted(Path(fitted.run))
    metrics, collection = evaluate_run(Path(fitted.run))
    assert predicted(Path(fitted.run)) == before
    assert metrics["images"] == len(collection.test) == 5
