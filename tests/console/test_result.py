import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from lptpp.console.result import show_errors, show_examples, show_result, show_summary
from lptpp.data.statistics import describe_shots
from lptpp.evaluation.balanced import describe_balanced
from lptpp.evaluation.files import read_metrics
from lptpp.prediction.predict import Summary
from lptpp.report.group_use import CREDIT
from lptpp.utils.io import write_csv
from tests import golden
from tests.report.made import make_run


def shown(folder: Path, counts: Sequence[int], tested: int | Sequence[int] = 3, **metrics: object) -> str:
    make_run(folder, counts, tested=tested)
    file = io.StringIO()
    console = Console(file=file, width=200, highlight=False, markup=False, emoji=False, soft_wrap=True)
    show_result(console, folder, read_metrics(folder) | metrics)
    return file.getvalue()


@pytest.mark.parametrize(
    "counts, thresholds",
    [
        ((19, 12, 8, 6, 3, 1), "[6,8]"),
        ((9, 9, 9, 2, 1), "[2,2]"),
        ((9, 2, 1, 0, 0), "[2,2]"),
        ((90, 70, 50, 0), "[70,70]"),
        ((500, 400, 300, 200, 120, 101), "[200,300]"),
        ((90, *range(1, 18)), "[7,12]"),
    ],
)
def test_if_nearly_all_classes_are_in_one_group_other_thresholds_are_suggested(
    counts: tuple[int, ...], thresholds: str, tmp_path: Path
) -> None:
    command = f"lptpp evaluate {tmp_path}/run evaluation.shot_thresholds={thresholds}\n"
    assert command in shown(tmp_path / "run", counts)


@pytest.mark.parametrize("counts", [(20, 12, 8, 1), (101, 1, 1, 1), (5, 5, 1, 1)])
def test_no_thresholds_are_suggested_if_there_are_groups_or_cannot_be(counts: tuple[int, ...], tmp_path: Path) -> None:
    assert "evaluation.shot_thresholds" not in shown(tmp_path / "run", counts)


def test_classes_without_images_are_named(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", [30] * 12, [3] * 3 + [0] * 9, untested_classes=[f"rare {i}" for i in range(9)])
    names = ", ".join(f"rare {i}" for i in range(8))
    assert f"9 of 12: {names} and 1 more.\n" in text
    assert "without images" in text
    assert "without images" not in shown(tmp_path / "whole", [30] * 3)


def test_the_balanced_table_comes_first(tmp_path: Path) -> None:
    row = {"overall": 41.04, "many": 33.3, "medium": 50.0, "few": None}
    balanced = {"images_per_class": 5, "classes": 62, "rows": {"mixture": row}}
    lines = [line.strip() for line in shown(tmp_path / "run", [30] * 3, balanced=balanced).splitlines()]
    titles = [line for line in lines if line.startswith("lptpp: accuracy")]
    assert [("310 images" in title, "9 images" in title) for title in titles] == [(True, False), (False, True)]
    first = lines[: lines.index(titles[1])]
    description = describe_balanced(balanced, "the test split")
    assert description in " ".join(first)
    assert describe_shots((20, 100)) in " ".join(first)
    (found,) = (line for line in first if "LPT++" in line)
    assert [cell.strip() for cell in found.strip("│").split("│")] == ["LPT++", "41.0", "33.3", "50.0", "–"]
    assert not any("Mean class" in line for line in first)


def test_a_balanced_part_without_images_is_an_explanation(tmp_path: Path) -> None:
    balanced = {"images_per_class": 500, "classes": 0, "rows": {}}
    text = shown(tmp_path / "run", [30] * 3, balanced=balanced)
    assert text.startswith(describe_balanced(balanced, "the test split"))
    assert "balanced part" not in shown(tmp_path / "other", [30] * 3, balanced=None)


def test_unused_groups_and_the_gain_of_own_groups_are_printed(tmp_path: Path) -> None:
    use = {"num_groups": 20, "top_k": 2, "used_groups": 6, "gain_over": {}}
    gain = {"overall": {"points": 2.0, "interval": [0.5, 3.5]}, "few": None}
    text = shown(tmp_path / "run", [9, 3], groups={"visual": use, "language": use | {"gain_over": {"none": gain}}})
    assert text.count("uses 6 of its 20 prompt groups") == 2
    assert f"{CREDIT} language: +2.0 points over no groups" in text
    assert CREDIT not in shown(tmp_path / "other", [9, 3], groups={"visual": use | {"used_groups": 10}})


def test_what_fit_prints(tmp_path: Path) -> None:
    row = {"overall": 41.04, "many": 33.3, "medium": 50.0, "few": None}
    balanced = {"images_per_class": 5, "classes": 62, "rows": {"mixture": row}}
    parts = [
        shown(tmp_path / "run", [150, 40, 6, 1, 0], [6, 4, 3, 2, 0], balanced=balanced),
        shown(tmp_path / "few", [9, 9, 9, 2, 1], balanced={"images_per_class": 500, "classes": 0, "rows": {}}),
    ]
    golden.check("fit_output", "\n".join(parts).replace(str(tmp_path), "FOLDER"))


def test_what_predict_prints() -> None:
    best = {"label_1": "apple", "probability_1": 0.756, "error": None}
    predicted = [{"image": "a.png", "prediction": "apple", **best}, {"image": "b.png", "prediction": None, **best}]
    failed = [{"image": "c.png", "error": "cannot be read: the file is empty"}]
    file = io.StringIO()
    summary = Summary(rows=1234, unreadable=3, uncertain=6, predicted=predicted, failed=failed)
    show_summary(Console(file=file, width=300, highlight=False), summary, Path("predictions.csv"))
    golden.check("predict_output", file.getvalue())


def test_examples_are_named_below_their_common_folder(tmp_path: Path) -> None:
    predicted = {"label_1": "oak", "probability_1": 0.5}
    rows = [{"image": f"d/{name}/1.png", "true": name, **predicted} for name in ("oak", "elm", "ash")]
    write_csv(tmp_path / "a.csv", rows)
    file = io.StringIO()
    show_examples(Console(file=file, width=200), tmp_path / "a.csv", {"result": "mixture", "names_in_csv": "escaped"})
    assert [line.split(":")[0] for line in file.getvalue().splitlines()[1:]] == [
        "  elm/1.png",
        "  ash/1.png",
        "  oak/1.png",
    ]


def written(folder: Path, images: dict[tuple[str, str], int]) -> Path:
    """Write the files of an evaluation with these numbers of images by true and predicted class."""
    folder.mkdir()
    classes = sorted({true for true, _ in images})
    tested = {name: sum(n for (true, _), n in images.items() if true == name) for name in classes}
    write_csv(folder / "confusion.csv", [{"true": t, "predicted": p, "images": n} for (t, p), n in images.items()])
    write_csv(
        folder / "per_class.csv",
        [
            {"class": name, "tested_images": tested[name], "mixture": 100 * images.get((name, name), 0) / tested[name]}
            for name in classes
        ],
    )
    return folder


def errors(folder: Path) -> list[str]:
    file = io.StringIO()
    show_errors(Console(file=file, width=200), folder, {"result": "mixture", "names_in_csv": "escaped"})
    return file.getvalue().splitlines()


def test_the_most_confused_pairs_and_the_weakest_classes_are_printed_with_their_images(tmp_path: Path) -> None:
    few = {("a", "a"): 8, ("a", "b"): 2, ("b", "a"): 3, ("b", "b"): 1, ("c", "c"): 5}
    assert errors(written(tmp_path / "few", few)) == [
        "Most confused pairs:",
        "  b mistaken for a: 3 of 4 images",
        "  a mistaken for b: 2 of 10 images",
        "Weakest classes:",
        "  b: 1 of 4 images correct (25%)",
        "  a: 8 of 10 images correct (80%)",
    ]
    many = {(f"{i}", f"{i + 1}"): i + 1 for i in range(7)}
    lines = errors(written(tmp_path / "many", many))
    assert lines[0] == "Most confused pairs (5 of 7; confusion.csv lists all):" and len(lines) == 12
    assert errors(written(tmp_path / "none", {("a", "a"): 8})) == []
