import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from lptpp.console.result import show_result
from lptpp.evaluation.files import read_metrics
from tests.report.made import make_run


def shown(folder: Path, counts: Sequence[int], tested: int | Sequence[int] = 3, **metrics: object) -> str:
    make_run(folder, counts, tested=tested)
    file = io.StringIO()
    console = Console(file=file, width=200, highlight=False, markup=False, emoji=False, soft_wrap=True)
    show_result(console, folder, read_metrics(folder) | metrics)
    return file.getvalue()


@pytest.mark.parametrize(
    "counts, borders", [((19, 12, 8, 6, 3, 1), "[6,8]"), ((9, 9, 9, 2, 1), "[2,2]"), ((9, 2, 1, 0, 0), "[2,2]")]
)
def test_where_all_classes_are_few_shot_borders_that_part_them_are_proposed(
    counts: tuple[int, ...], shot_thresholds: str, tmp_path: Path
) -> None:
    messages = shown(tmp_path / "run", counts)
    command = f"lptpp evaluate {tmp_path}/run evaluation.shot_thresholds={shot_thresholds}\n"
    assert f"All tested classes are few-shot by these borders; to part them: {command}" in messages


@pytest.mark.parametrize("counts", [(20, 12, 8, 1), (101, 1, 1, 1), (5, 5, 1, 1)])
def test_no_borders_are_proposed_where_classes_are_parted_or_cannot_be(counts: tuple[int, ...], tmp_path: Path) -> None:
    assert "few-shot by these borders" not in shown(tmp_path / "run", counts)


def test_classes_without_a_picture_are_named(tmp_path: Path) -> None:
    messages = shown(tmp_path / "run", [30] * 12, [3] * 3 + [0] * 9, untested_classes=[f"rare {i}" for i in range(9)])
    names = ", ".join(f"rare {i}" for i in range(8))
    assert f"Classes without a picture in the test part: 9 of 12: {names} and 1 more.\n" in messages
    assert "without a picture" not in shown(tmp_path / "whole", [30] * 3)


def test_the_balanced_table_comes_first(tmp_path: Path) -> None:
    row = {"overall": 41.04, "many": 33.3, "medium": 50.0, "few": None}
    balanced = {"pictures": 5, "classes": 62, "rows": {"LPT++": row}}
    lines = [line.strip() for line in shown(tmp_path / "run", [30] * 3, balanced=balanced).splitlines()]
    titles = [line for line in lines if line.startswith("lptpp: accuracy")]
    assert titles == [
        "lptpp: accuracy in % on the balanced test part (310 images, seed 0)",
        "lptpp: accuracy in % on the test part (9 images, seed 0)",
    ]
    first = lines[: lines.index(titles[1])]
    assert "balanced test part: 5 pictures of each of 62 classes" in " ".join(first)
    assert "many: more than 100 training images" in " ".join(first)
    (found,) = (line for line in first if "LPT++" in line)
    assert [cell.strip() for cell in found.strip("│").split("│")] == ["LPT++", "41.0", "33.3", "50.0", "–"]
    assert not any("Mean class" in line for line in first)


def test_a_balanced_part_without_a_picture_is_told(tmp_path: Path) -> None:
    messages = shown(tmp_path / "run", [30] * 3, balanced={"pictures": 500, "classes": 0, "rows": {}})
    assert messages.startswith("No class has 500 pictures in the test part: evaluation.balanced=500 draws nothing,")
    assert "balanced test part" not in shown(tmp_path / "other", [30] * 3, balanced=None)
