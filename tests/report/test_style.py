"""The colors of the shots as the color-blind see them, and the logarithmic axis with a place for zero."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lptpp.report.style import COLORS, count_axis, log_position, panel, round_numbers

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0: linear RGB as each kind of eye sees it
SIGHT = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(color: str, sight: str) -> np.ndarray:
    """Return CIE L*a*b* (D65) of a color as seen."""
    value = np.array(to_rgb(color))
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(SIGHT[sight]) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ seen / [0.95047, 1.0, 1.08883]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colors_of_the_shots_are_told_apart(sight: str) -> None:
    for one, other in combinations(COLORS.values(), 2):
        assert np.linalg.norm(lab(one, sight) - lab(other, sight)) > 25  # about 2.3 is just noticeable


def test_the_colors_of_the_shots_are_told_apart_in_grey() -> None:
    lightness = sorted(lab(color, "full")[0] for color in COLORS.values())
    assert np.diff(lightness).min() > 15


@pytest.mark.parametrize(
    "largest, expected",
    [
        (0, [1]),
        (1, [1]),
        (30, [1, 2, 5, 10, 20]),
        (500, [1, 3, 10, 30, 100, 300]),
        (12_000, [1, 10, 100, 1000, 10_000]),
    ],
)
def test_ticks_are_round_numbers(largest: int, expected: list[int]) -> None:
    assert round_numbers(largest) == expected


@pytest.mark.parametrize("counts, labels", [([0, 4, 9000], ["0", "1", "10", "100", "1,000"]), ([1, 3], ["1", "2"])])
def test_the_axis_has_a_zero_only_where_a_class_has_none(counts: list[int], labels: list[str]) -> None:
    figure, ax = panel()
    ax.plot(log_position(np.array(counts)), counts)
    count_axis(ax.xaxis, np.array(counts))
    figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_xticklabels()] == labels
