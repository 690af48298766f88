"""What is gathered against loops over the files' rows."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lptpp.report.gather import Run, gather
from lptpp.utils.errors import UserError


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_classes_have_the_accuracy_that_their_predictions_give(folder: Path, run: Run) -> None:
    predictions = rows(folder, "predictions.csv")
    for row in run.metrics["rows"]:
        for index, name in enumerate(run.classes.names):
            right = [one[f"{row}: label"] == name for one in predictions if one["true"] == name]
            assert len(right) == run.classes.tested[index]
            found = run.classes.accuracy[row][index]
            assert found == pytest.approx(100 * sum(right) / len(right), abs=0.01) if right else np.isnan(found)


def test_the_predictions_are_those_of_the_file(folder: Path, run: Run) -> None:
    of, names = run.predictions, run.classes.names
    for i, row in enumerate(rows(folder, "predictions.csv")):
        assert (of.images[i], names[of.labels[i]]) == (row["image"], row["true"])
        assert names[of.predicted["plain average"][i]] == row["plain average: label"]
        assert of.sure["LPT++"][i] == float(row["LPT++: probability"])
        assert of.weights["language"][i] == float(row["weight of language"])
        assert of.truth[i] == float(row["true_probability"])


def test_the_groups_are_counted_by_expert_class_and_group(folder: Path, run: Run) -> None:
    expected: Counter = Counter()
    for row in rows(folder, "groups.csv"):
        expected[row["expert"], row["class"], int(row["group"])] += int(row["images"])
    for expert, counts in run.groups.items():
        assert counts.shape == (len(run.classes.names), run.settings.experts[expert].pool)
        for index, name in enumerate(run.classes.names):
            assert counts[index].sum() == 2 * run.classes.tested[index]  # two groups an image
            assert counts[index].tolist() == [expected[expert, name, group + 1] for group in range(counts.shape[1])]


def test_the_last_row_of_each_expert_is_found(run: Run) -> None:
    assert run.finals == {"visual": "visual, phase 2", "language": "language, phase 2"}


def test_an_older_folder_lacks_groups_and_true_probabilities(copy: Path) -> None:
    (copy / "groups.csv").unlink()
    (copy / "history.csv").unlink()
    content = [{k: v for k, v in row.items() if k != "true_probability"} for row in rows(copy, "predictions.csv")]
    with (copy / "predictions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    found = gather(copy)
    assert (found.groups, found.predictions.truth, found.history, found.versions) == (None, None, [], {})


def test_pictures_that_are_gone_leave_the_reason(run: Run) -> None:
    assert run.pictures is None
    assert run.why_no_pictures.startswith("/nowhere is not a folder")


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("metrics.json", None, r"metrics\.json does not exist: finish the run with `lptpp fit`"),
        ("metrics.json", "{", r"metrics\.json is not valid JSON \(.*\): write it again with `lptpp evaluate .*copy`"),
        ("metrics.json", "{}", r"The files in .*copy do not fit each other \(KeyError\('rows'\)\): write them again"),
        ("per_class.csv", None, r"per_class\.csv does not exist: write it again with `lptpp evaluate .*copy`"),
        ("per_class.csv", "", r"per_class\.csv is empty or cut short: write it again"),
        ("predictions.csv", "image,true\na.png,unknown\n", r"do not fit each other \(KeyError\('unknown'\)\)"),
        ("predictions.csv", "image,true\na.png\n", r"predictions\.csv is empty or cut short"),
        ("predictions.csv", b"\xff\xfe\x00", r"predictions\.csv cannot be read \(.*\): write it again"),
        ("groups.csv", "expert,class,group,images\nvisual,class 0,x,1\n", "do not fit each other"),
        ("groups.csv", "expert,class,group,images\nvisual,class 0,99,1\n", "do not fit each other"),
        ("config.yaml", None, r"holds no config\.yaml"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_told(
    name: str, content: str | bytes | None, messages: str, copy: Path
) -> None:
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=messages):
        gather(copy)
