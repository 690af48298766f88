"""Plain lines of image lists, read all at once, against reading them line by line."""

import random
from pathlib import Path

import pytest

from lptpp.data.sources import image_list
from lptpp.data.sources.plain_lines import plain_lines
from lptpp.utils.errors import UserError

PLAIN = ["a.png 0\nb/c.png 17\n", "a 1", "x/#y.png 08141\n", '"q".png 1\n', "a.png 999999999999999999\n", "/x/a.png 2"]
OTHERS = [
    "", "\n", "a.png 0\n\nb.png 1", "# x 1\n", "a b.png 1\n", "a.png  1", "a.png\t1", "a.png 1 \n", " a.png 1",
    "ü.png 1",
    "./a.png 1", "a//b.png 1", "a/./b.png 1", "a/ 1", "a/. 1", "a.png 1\x0c", "a.png\x001", "a.png ", "a.png -1",
    "a.png 1.5", "a.png", "a.png 1\nb.png\nc d", "a.png /", "a.png :", "a.png 1" + "0" * 18,
]  # fmt: skip


def by_line(block: str) -> tuple[list[bytes], list[int], list[int]] | None:
    """Return paths, labels and line numbers as read line by line; None if the lines are refused."""
    try:
        found = image_list._of_lines(block, 5, Path("list.txt"))
    except (UserError, OverflowError):
        return None
    return ([], [], []) if found is None else columns(found)


def columns(found: image_list.Lines) -> tuple[list[bytes], list[int], list[int]]:
    return list(found.images.names()), found.labels.tolist(), found.numbers.tolist()


@pytest.mark.parametrize("block", PLAIN)
def test_plain_lines_are_read_as_line_by_line(block):
    found = image_list._of_plain_lines(block, 5)
    assert found is not None and columns(found) == by_line(block)


@pytest.mark.parametrize("block", OTHERS)
def test_other_lines_are_not_plain(block):
    assert plain_lines(block) is None


def test_random_lines_are_read_as_line_by_line():
    draw, plain = random.Random(0), 0
    for _ in range(3000):
        paths = ["".join(draw.choices("ab./# \té", [9, 9, 3, 4, 1, 0.2, 0.1, 0.1], k=4)) for _ in range(3)]
        block = "".join(
            f"{path} {draw.choice(['0', '17', '208', '', '1x'][: draw.choice([3, 3, 3, 5])])}\n" for path in paths
        )
        found = image_list._of_plain_lines(block, 5)
        plain += found is not None
        assert found is None or columns(found) == by_line(block)
    assert plain > 300


@pytest.mark.parametrize("size", [1, 12, 40, 2**25])
def test_blocks_of_both_kinds_are_joined(tmp_path, monkeypatch, size):
    monkeypatch.setattr(image_list, "BLOCK", size)
    lines = ["a.png 0", "", "b c.png 1", "# no", "d.png 2", "e/f.png 1", "/g.png 0", ""]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = image_list._read_at(tmp_path / "list.txt", tmp_path, None)
    image_list._read_at.cache_clear()
    assert found.images == [tmp_path / name for name in ("a.png", "b c.png", "d.png", "e/f.png", "/g.png")]
    assert found.labels.tolist() == [0, 1, 2, 1, 0]
    assert found.numbers.tolist() == [1, 3, 5, 6, 7]
