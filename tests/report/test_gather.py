"""What is gathered against loops over the files' rows."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.utils.errors import UserError


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_classes_have_the_accuracy_that_their_predictions_give(folder: Path, run: EvaluatedRun) -> None:
    predictions = rows(folder, "predictions.csv")
    for row in run.rows:
        for index, name in enumerate(run.classes.names):
            right = [one[f"{row}.label"] == name for one in predictions if one["true"] == name]
            assert len(right) == run.classes.tested[index]
            found = run.classes.accuracy[row][index]
            assert found == pytest.approx(100 * sum(right) / len(right), abs=0.01) if right else np.isnan(found)


def test_the_predictions_are_those_of_the_file(folder: Path, run: EvaluatedRun) -> None:
    of, names = run.predictions, run.classes.names
    for i, row in enumerate(rows(folder, "predictions.csv")):
        assert (of.images[i], names[of.labels[i]]) == (row["image"], row["true"])
        assert names[of.predicted[AVERAGE][i]] == row["average.label"]
        assert of.confidence[MIXTURE][i] == float(row["mixture.probability"])
        assert of.weights["language"][i] == float(row["language.weight"])
        assert of.truth[i] == float(row["true_probability"])


def test_the_groups_are_counted_by_expert_class_and_group(folder: Path, run: EvaluatedRun) -> None:
    expected: Counter = Counter()
    for row in rows(folder, "groups.csv"):
        expected[row["expert"], row["class"], int(row["group"])] += int(row["images"])
    for expert, counts in run.groups.items():
        assert counts.shape == (len(run.classes.names), run.settings.experts[expert].num_groups)
        for index, name in enumerate(run.classes.names):
            assert counts[index].sum() == 2 * run.classes.tested[index]  # two groups an image
            assert counts[index].tolist() == [expected[expert, name, group + 1] for group in range(counts.shape[1])]


def test_the_last_row_of_each_expert_is_found(run: EvaluatedRun) -> None:
    assert run.finals == {name: ResultRow("phase2", name) for name in ("visual", "language")}


def test_without_a_history_and_a_checkpoint_the_rest_is_read(copy: Path) -> None:
    (copy / "history.csv").unlink()
    found = gather(copy)
    assert (found.history, found.versions) == ([], {})


def test_images_that_cannot_be_loaded_leave_the_reason(run: EvaluatedRun) -> None:
    assert run.images is None
    assert "does not record which images" in run.why_no_images


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("metrics.json", None, r"metrics\.json .*lptpp fit"),
        ("metrics.json", "{", r"metrics\.json .*JSON.*lptpp evaluate .*copy"),
        ("metrics.json", "{}", r"metrics\.json .*result.*lptpp evaluate .*copy"),
        ("metrics.json", '{"result": "LPT++", "rows": {}}', r"metrics\.json .*LPT\+\+.*lptpp evaluate .*copy"),
        ("per_class.csv", None, r"per_class\.csv .*lptpp evaluate .*copy"),
        ("per_class.csv", "", r"per_class\.csv .*lptpp evaluate .*copy"),
        ("predictions.csv", "image,true\na.png,unknown\n", r"copy .*KeyError\('unknown'\).*lptpp evaluate .*copy"),
        ("predictions.csv", "image,true\na.png\n", r"predictions\.csv .*lptpp evaluate .*copy"),
        ("predictions.csv", b"\xff\xfe\x00", r"predictions\.csv .*lptpp evaluate .*copy"),
        ("groups.csv", None, r"groups\.csv .*lptpp evaluate .*copy"),
        ("groups.csv", "expert,class,group,images\nvisual,class 0,x,1\n", "copy .*ValueError.*lptpp evaluate"),
        ("groups.csv", "expert,class,group,images\nvisual,class 0,99,1\n", "copy .*IndexError.*lptpp evaluate"),
        ("config.yaml", None, r"config\.yaml"),
    ],
)
def test_a_missing_or_damaged_file_is_an_error(
    name: str, content: str | bytes | None, message: str, copy: Path
) -> None:
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        gather(copy)
