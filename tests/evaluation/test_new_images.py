"""`lptpp evaluate RUN --on`: the run on other labeled images."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lptpp
from lptpp.cli import app
from lptpp.config import run_settings
from lptpp.data.labeled import labeled_images
from lptpp.evaluation.compare import ComparedRun, flat_rows
from lptpp.evaluation.new_images import evaluate_on
from lptpp.evaluation.run import evaluate_run
from lptpp.export.hugging_face import write_hugging_face
from lptpp.utils.errors import UserError
from tests.conftest import draw_picture


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
    assert metrics["rows"].keys() == trained.metrics["rows"].keys() - {"visual.linear_probe", "language.linear_probe"}
    assert ((run / "metrics.json").read_bytes(), (run / "predictions.csv").read_bytes()) == before


def test_training_images_among_them_are_counted_whatever_their_name(run, garden, pictures):
    shutil.copy(pictures / "train" / "apple" / "5.png", garden / "apple" / "new name.png")
    shutil.copy(pictures / "train" / "bear" / "0.png", garden / "car" / "7.png")
    shutil.copy(pictures / "test" / "bear" / "0.png", garden / "car" / "8.png")  # tested, not trained on
    shown = CliRunner().invoke(app, ["evaluate", str(run), "--on", str(garden), "--name", "leak"]).stdout
    assert f"2 of 8 images were training images of {run}." in shown
    assert str(run / "evaluations" / "leak") in shown


def test_a_name_belongs_to_one_place(run, garden, tmp_path):
    evaluate_on(run, garden, name="twice")
    evaluate_on(run, garden, ["evaluation.shot_thresholds=[4,7]"], name="twice")
    assert json.loads((run / "evaluations" / "twice" / "metrics.json").read_text())["shot_thresholds"] == [4, 7]
    other = Path(shutil.copytree(garden, tmp_path / "other"))
    with pytest.raises(UserError, match=rf"{run}/evaluations/twice exists and is of {garden}: .*--name"):
        evaluate_on(run, other, name="twice")
    for name in ("../x", ".x", "a/b"):
        with pytest.raises(UserError, match="--name"):
            evaluate_on(run, other, name=name)


def test_unknown_classes_are_named(run, garden):
    for name in ("plum", "fig"):
        draw_picture(garden / name / "0.png", 0, 1)
    with pytest.raises(UserError, match=r"2 class\(es\) .* not know: fig, plum\. .*apple, bear, car, dog"):
        evaluate_on(run, garden, name="unknown")
    assert not (run / "evaluations" / "unknown").exists()


def test_one_class_split_folders_and_loose_files(run, garden, caplog):
    shutil.rmtree(garden / "car")
    assert evaluate_on(run, garden, name="one")["images"] == 3
    (garden / "train").mkdir()
    (garden / "apple").rename(garden / "train" / "apple")
    draw_picture(garden / "test" / "dog" / "0.png", 3, 7400)
    draw_picture(garden / "loose.png", 3, 7401)
    assert evaluate_on(run, garden, name="splits")["images"] == 4
    assert "1 file(s)" in caplog.text and "loose.png" in caplog.text


def write_csv(garden: Path) -> Path:
    lines = ["file,species,split", "apple/0.png,apple,test", "car/1.png,car,test", "apple/2.png,apple,train"]
    (garden / "table.csv").write_text("\n".join(lines))
    return garden / "table.csv"


def write_list(garden: Path) -> Path:
    (garden / "list.txt").write_text("apple/0.png 0\ncar/1.png 2\napple/2.png 0\n")
    return garden / "list.txt"


@pytest.mark.parametrize("write, columns", [(write_csv, ["data.label_column=species"]), (write_list, [])])
def test_a_table_and_a_list(write, columns, run, garden):
    path = write(garden)
    metrics = evaluate_on(run, path, columns)
    assert metrics["images"] == 3
    rows = predictions(run / "evaluations" / path.stem)
    assert [row["true"] for row in rows] == ["apple", "car", "apple"]
    path.write_text(path.read_text().replace(",car,", ",plum,").replace(" 2\n", " 9\n"))
    with pytest.raises(UserError, match=r"(plum|label 9)"):
        evaluate_on(run, path, columns)


def test_a_number_is_a_class_name_where_the_classes_are_numbers(run, garden):
    path = garden / "table.csv"
    path.write_text("file,label\napple/0.png,10\ncar/1.png,2\napple/2.png,10\n")
    settings = run_settings(run)
    settings.data.root = None
    assert labeled_images(path, ["1", "2", "10"], settings, garden / "skipped.csv").labels.tolist() == [2, 1, 2]
    with pytest.raises(UserError, match="10"):
        labeled_images(path, ["0", "1", "2"], settings, garden / "skipped.csv")


def test_what_cannot_be_read_is_refused(run, garden, tmp_path):
    (garden / "apple" / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"apple/0\.png"):
        evaluate_on(run, garden, name="broken")
    assert evaluate_on(run, garden, ["data.on_error=skip"], name="broken")["images"] == 4
    assert (run / "evaluations" / "broken" / "skipped.csv").is_file()
    for path in (tmp_path / "nowhere", tmp_path / "book.xlsx"):
        with pytest.raises(UserError, match=r"--on: .* does not exist"):
            evaluate_on(run, path)
    with pytest.raises(UserError, match=r"seed=1 cannot change"):
        evaluate_on(run, garden, ["seed=1"])
    with pytest.raises(UserError, match="contains no fitted temperature"):
        evaluate_on(run, garden, ["evaluation.temperature=fitted", "data.on_error=skip"], name="heat")


def test_compare_takes_it_beside_the_run(run, garden):
    evaluate_on(run, garden, name="compared")
    found = [ComparedRun.read(folder) for folder in (run, run / "evaluations" / "compared")]
    assert {row["split"] for row in flat_rows(found)} == {"test", "compared"}


def test_a_run_that_records_no_images_says_so(run, garden, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    list(write_hugging_face(run, shared, "me/fruit", "apache-2.0"))
    shown = CliRunner().invoke(app, ["evaluate", str(shared), "--on", str(garden)]).stdout
    assert "does not record its training images" in shown
    with pytest.raises(UserError, match="does not record which images"):
        evaluate_run(shared)
