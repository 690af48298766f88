import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from lptpp.console.chart import chart

THRESHOLDS = (20, 100)


def drawn(names: list[str], counts: list[int] | np.ndarray, width: int = 80) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(chart(names, np.asarray(counts), THRESHOLDS))
    return file.getvalue().splitlines()


def blocks(line: str) -> int:
    return line.count("█")


def test_a_bar_for_each_class_with_a_heading_for_each_shot() -> None:
    lines = drawn(["elm", "oak", "ash", "fir", "yew"], [50, 200, 100, 0, 19])
    assert [line.rstrip(" █▌▍▎▏▋▊▉") for line in lines] == [
        "many: more than 100 training images",
        "  1 of 5 classes, 54.2% of the images",
        f"oak{'200':>42}",
        "medium: 20 to 100",
        "  2 of 5 classes, 40.7% of the images",
        f"ash{'100':>42}",
        f"elm{'50':>42}",
        "few: fewer than 20",
        "  2 of 5 classes, 5.1% of the images",
        f"yew{'19':>42}",
        f"fir{'0':>42}",
    ]
    assert [blocks(lines[i]) for i in (2, 5, 6, 9, 10)] == [33, 16, 8, 3, 0]


@pytest.mark.parametrize("classes", [2, 10, 40, 41, 100, 1000, 8142])
@pytest.mark.parametrize("factor", [1, 100, 500])
def test_it_fits_a_screen(classes: int, factor: int) -> None:
    counts = np.floor(1000 / factor ** (np.arange(classes) / (classes - 1))).astype(int)
    shuffled = np.random.default_rng(0).permutation(counts)
    lines = drawn([f"名前 number {i} {'x' * 80}" for i in range(classes)], shuffled)
    assert len(lines) <= 50
    assert max(cell_len(line.rstrip()) for line in lines) <= 80
    shares = [float(share) for share in re.findall(r"([\d.]+)% of the images", "\n".join(lines))]
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_neighbours_share_a_bar_which_ends_at_a_border() -> None:
    counts = np.concatenate([np.full(50, 101), np.full(70, 100), np.full(30, 19)])
    lines = drawn([f"n{i}" for i in range(150)], counts)
    labels = [line for line in lines if ", …" in line]
    ranges = [re.match(r"(\d+)–(\d+): n(\d+), … +(\d+) ", line) for line in labels]
    assert all(ranges)
    found = [tuple(map(int, match.groups())) for match in ranges if match]
    assert found[0][0] == 1
    assert found[-1][1] == 150
    for (first, last, name, count), (following, *_) in zip(found, [*found[1:], (151,)], strict=True):
        assert following == last + 1
        assert name == first - 1
        assert set(counts[first - 1 : last]) == {count}


def test_a_bar_is_the_mean_and_its_numbers_the_extremes() -> None:
    counts = np.concatenate([np.full(40, 200), np.arange(100, 20, -2)])  # neighbors in pairs: 100 and 98, 96 and 94, …
    lines = [line for line in drawn([str(i) for i in range(80)], counts) if ", …" in line]
    assert [blocks(line) for line in lines[:20]] == [33] * 20
    assert [line[32:45].strip() for line in lines[20:]] == [f"{most}–{most - 2}" for most in range(100, 20, -4)]
    assert [blocks(line) for line in lines[20:]] == [33 * (most - 1) // 200 for most in range(100, 20, -4)]


def test_names_that_a_terminal_would_take_for_something_else() -> None:
    lines = drawn(["[red]x[/red]", ":apple: a\nb\tc", "<script>"], [3, 2, 1])
    assert [line[:30].strip() for line in lines[2:]] == ["[red]x[/red]", ":apple: a b c", "<script>"]
