import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch
from PIL import Image

from lptpp.report.distribution import distribution_figure, steps
from lptpp.report.style import COLORS

THRESHOLDS = (20, 100)


def heights(counts: np.ndarray) -> dict[str, list[float]]:
    """Return the height at the middle of every class, by color, as the figure's stairs have them."""
    (ax,) = distribution_figure(counts, THRESHOLDS).axes
    found = {}
    for patch in ax.patches:
        assert isinstance(patch, StepPatch)
        values, edges, _ = patch.get_data()
        places = np.arange(len(counts)) + 0.5
        inside = places[(places > edges[0]) & (places < edges[-1])]
        found[to_hex(patch.get_facecolor())] = values[np.searchsorted(edges, inside) - 1].tolist()
    return found


def test_every_class_has_its_height_and_color() -> None:
    counts = np.array([3, 200, 100, 0, 20, 20, 101, 19, 1, 1])
    assert heights(counts) == {
        COLORS["many"].lower(): [200, 101],
        COLORS["medium"].lower(): [100, 20, 20],
        COLORS["few"].lower(): [19, 3, 1, 1],
    }


def test_only_the_shots_that_are_there() -> None:
    assert heights(np.array([5, 5, 0])) == {COLORS["few"].lower(): [5, 5]}


@pytest.mark.parametrize("counts", [[1, 1], [1, 0], [10**6, 1]])
def test_extreme_counts_are_written_without_a_warning(counts: list[int], tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution_figure(np.array(counts), THRESHOLDS).savefig(path)
    with Image.open(path) as figure:
        assert (0xBB, 0x55, 0x66) in {color for _, color in figure.convert("RGB").getcolors(2**24)}


def test_many_equal_classes_are_few_steps() -> None:
    counts = np.sort(np.random.default_rng(0).integers(1, 30, 8142))[::-1]
    values, edges = steps(counts, counts < 20)
    assert len(values) == 19
    assert np.array_equal(np.repeat(values, np.diff(edges)), counts[counts < 20])
