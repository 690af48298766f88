from pathlib import Path

import pytest

from benchmarks.scale.__main__ import table
from benchmarks.scale.costs import Cost, costs, slopes


def test_slopes_are_those_of_powers() -> None:
    found = [Cost("line", n, 3.0 * n) for n in (10, 100, 1000)] + [Cost("square", n, 1.0 * n * n) for n in (10, 100)]
    assert slopes(found) == pytest.approx({"line": 1, "square": 2})


def test_every_cost_is_measured_and_paths_take_less_than_100_bytes(tmp_path: Path) -> None:
    found = [cost for size in (200, 400) for cost in costs(size, tmp_path, classes=20)]
    assert len(found) == 20 and table(found).count("\n") == 11
    assert all(cost.value < 100 * cost.images for cost in found if cost.unit == "bytes")
