"""`lptpp evaluate RUN --on`: the run on other labeled images."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import lptpp
from lptpp.api import evaluate_on
from lptpp.cli import app
from lptpp.console.result import show_new_images
from lptpp.evaluation.compare import ComparedRun, flat_rows
from lptpp.evaluation.findings import findings, precision, trained_on
from lptpp.evaluation.intervals import interval
from lptpp.evaluation.run import evaluate_run
from lptpp.export.hugging_face import write_hugging_face
from lptpp.utils.errors import UserError
from tests.conftest import draw_picture

pytestmark = pytest.mark.usefixtures("no_figures")
BARE = "evaluation.baselines=[]"


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("new") / "run"))


@pytest.fixture
def garden(tmp_path) -> Path:
    """Five new images of two classes."""
    for label, name, count in ((0, "apple", 3), (2, "car", 2)):
        for number in range(count):
            draw_picture(tmp_path / "garden" / name / f"{number}.png", label, 7000 + 100 * label + number)
    return tmp_path / "garden"


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_labeled_image_is_evaluated_with_the_facts_of_the_run(run, garden, trained):
    before = (run / "metrics.json").read_bytes(), (run / "predictions.csv").read_bytes()
    metrics = evaluate_on(run, garden)
    assert (metrics["images"], metrics["classes_tested"], metrics["untested_classes"]) == (5, 2, ["bear", "dog"])
    assert (metrics["training_images"], metrics["trained_on"]) == (17, 0)
    folder = run / "evaluations" / "garden"
    with (folder / "per_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["training_images"], row["shot"], row["tested_images"]) for row in rows] == [
        ("8", "many", "3"), ("5", "medium", "0"), ("3", "medium", "2"), ("1", "few", "0")
    ]  # fmt: skip
    assert json.loads((folder / "metrics.json").read_text())["rows"] == metrics["rows"]
    images = [row["image"] for row in predictions(folder)]
    assert images == [str(path) for path in sorted(garden.glob("*/*.png"))]
    best = [found.label for (found,) in lptpp.load(run).predict(images, top_k=1)]
    assert [row["label_1"] for row in predictions(folder)] == best
    right = [row["label_1"] == row["true"] for row in predictions(folder)]
    assert metrics["rows"]["mixture"]["overall"] == pytest.approx(100 * sum(right) / 5)
    probabilities = [float(row["probability_1"]) for row in predictions(folder)]
    assert metrics["mean_probability"] == pytest.approx(20 * sum(probabilities), abs=1e-3)
    assert metrics["rows"].keys() == {key for key in trained.metrics["rows"] if not key.endswith("_probe")}
    assert ((run / "metrics.json").read_bytes(), (run / "predictions.csv").read_bytes()) == before


def test_training_images_among_them_are_counted_whatever_their_name(run, garden, pictures):
    shutil.copy(pictures / "train" / "apple" / "5.png", garden / "apple" / "new name.png")
    shutil.copy(pictures / "train" / "bear" / "0.png", garden / "car" / "7.png")
    shutil.copy(pictures / "test" / "bear" / "0.png", garden / "car" / "8.png")  # tested, not trained on
    shown = CliRunner().invoke(app, ["evaluate", str(run), "--on", str(garden), "--name", "leak", BARE]).stdout
    assert f"2 of 8 images are identical to one of the 17 training images of {run}; accuracy on" in shown
    assert str(run / "evaluations" / "leak") in shown
    known = ("/apple/new name.png", "/car/7.png")
    new = [row for row in predictions(run / "evaluations" / "leak") if not row["image"].endswith(known)]
    accuracy = 100 * sum(row["label_1"] == row["true"] for row in new) / 6
    low, high = interval(accuracy, 6)
    of_new = f"{accuracy:.1f}% (95% interval {low:.1f} to {high:.1f}%, 6 images)"
    assert len(new) == 6 and f"Without these, LPT++ has an overall accuracy of {of_new}." in shown
    assert of_new in (run / "evaluations" / "leak" / "report.html").read_text(encoding="utf-8")


def test_if_no_image_or_each_is_a_training_image_there_is_no_accuracy_without_them(run, garden, pictures):
    assert evaluate_on(run, garden, [BARE], name="new")["not_trained_on"] is None
    metrics = evaluate_on(run, pictures / "train", [BARE], name="seen")
    assert metrics["trained_on"] == metrics["images"] and metrics["not_trained_on"] is None


def test_findings_and_a_report_as_of_the_test_split(run, garden, capsys):
    metrics = evaluate_on(run, garden, name="told")
    show_new_images(Console(soft_wrap=True), metrics, run, garden)
    shown, report = capsys.readouterr().out, run / "evaluations" / "told" / "report.html"
    sentences = [*trained_on(metrics, str(run)), *precision(metrics), *findings(metrics)]
    assert len(sentences) > 2 and all(sentence in shown for sentence in sentences)
    assert f"None of 5 images is identical to one of the 17 training images of {run}." in shown
    assert f"Report: {report}" in shown
    page = report.read_text(encoding="utf-8")
    assert "on 5 images of garden" in page and "test split" not in page
    assert page.count("data:image/jpeg") > 2 and "cannot be shown" not in page
    assert f"{run / 'evaluations' / 'told'}." in page


def test_shot_groups_are_those_of_the_latest_evaluation(run, garden, tmp_path, caplog):
    caplog.set_level("INFO", "lptpp")
    own = Path(shutil.copytree(run, tmp_path / "own"))
    evaluate_run(own, ["evaluation.shot_thresholds=[2,4]", BARE])
    metrics = evaluate_on(own, garden, [BARE], name="later")
    assert metrics["shot_thresholds"] == [2, 4]
    assert f"Shot groups of the latest evaluation of {own}: many: more than 4 training images" in caplog.text
    assert evaluate_on(own, garden, [BARE, "evaluation.shot_thresholds=[3,5]"], name="g")["shot_thresholds"] == [3, 5]
    (own / "metrics.json").unlink()
    assert evaluate_on(own, garden, [BARE], name="gone")["shot_thresholds"] != [2, 4]


def test_a_name_belongs_to_one_place(run, garden, tmp_path):
    evaluate_on(run, garden, [BARE], name="twice")
    evaluate_on(run, garden, ["evaluation.shot_thresholds=[4,7]", BARE], name="twice")
    assert json.loads((run / "evaluations" / "twice" / "metrics.json").read_text())["shot_thresholds"] == [4, 7]
    other = Path(shutil.copytree(garden, tmp_path / "other"))
    with pytest.raises(UserError, match=rf"{run}/evaluations/twice exists and is of {garden}: .*--name"):
        evaluate_on(run, other, name="twice")
    for name in ("../x", ".x", "a/b"):
        with pytest.raises(UserError, match="--name"):
            evaluate_on(run, other, name=name)


def test_what_cannot_be_read_or_set_is_refused(run, garden, tmp_path):
    with pytest.raises(UserError, match=r"--on: .* does not exist"):
        evaluate_on(run, tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"seed=1 cannot change"):
        evaluate_on(run, garden, ["seed=1"])
    with pytest.raises(UserError, match="contains no fitted temperature"):
        evaluate_on(run, garden, ["evaluation.temperature=fitted", BARE], name="heat")
    assert not (run / "evaluations" / "heat").exists()


def test_class_frequencies_are_estimated_from_the_new_images(run, garden, caplog):
    caplog.set_level("INFO", "lptpp")
    metrics = evaluate_on(run, garden, ["evaluation.prior=estimated", BARE], name="shifted")
    assert "mixture.prior=estimated" in metrics["rows"]
    assert "Class frequencies estimated from 5 images" in caplog.text


def test_a_table_with_other_columns_than_the_run(run, garden):
    (garden / "table.csv").write_text("file,species\napple/0.png,apple\ncar/1.png,car\n")
    metrics = evaluate_on(run, garden / "table.csv", ["data.label_column=species", BARE])
    assert (metrics["images"], metrics["split"]) == (2, "table")
    assert [row["true"] for row in predictions(run / "evaluations" / "table")] == ["apple", "car"]


def test_compare_shows_it_next_to_the_run(run, garden):
    evaluate_on(run, garden, [BARE], name="compared")
    found = [ComparedRun.read(folder) for folder in (run, run / "evaluations" / "compared")]
    assert {row["split"] for row in flat_rows(found)} == {"test", "compared"}


def test_a_run_that_records_no_images_says_so(run, garden, tmp_path, capsys):
    shared = tmp_path / "shared"
    shared.mkdir()
    list(write_hugging_face(run, shared, "me/fruit", "apache-2.0"))
    show_new_images(Console(soft_wrap=True), evaluate_on(shared, garden, [BARE]), shared, garden)
    assert f"{shared} does not record its training images" in capsys.readouterr().out
    with pytest.raises(UserError, match="does not record which images"):
        evaluate_run(shared)
