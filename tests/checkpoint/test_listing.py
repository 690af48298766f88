"""The rows of a listing that the images of a run take, against a literal search."""

import random

import numpy as np
import pytest

from lptpp.checkpoint.listing import Listing, Rows
from lptpp.utils.errors import UserError

Item = tuple[str, int]  # name and label


def literal(listing: list[Item], parts: list[list[Item]]) -> list[list[int]] | None:
    """Return for each image the first row of its name and label that no earlier one took; None if there is none."""
    free, found = list(listing), []
    for part in parts:
        found.append([])
        for item in part:
            if item not in free:
                return None
            found[-1].append(free.index(item))
            free[found[-1][-1]] = ("taken", 0)
    return found


def listing_of(items: list[Item]) -> Listing:
    names, labels = [name for name, _ in items], np.array([label for _, label in items], np.int32)
    return Listing(names, [], labels, np.zeros(len(items), np.uint8), [], labels)


@pytest.mark.parametrize("seed", range(100))
def test_each_image_takes_the_first_free_row(seed):
    draw = random.Random(seed)
    items = sorted((draw.choice("abc"), draw.choice([-1, 0, 1, 2])) for _ in range(draw.randint(1, 12)))
    drawn = draw.sample(items, draw.randint(0, len(items))) + [("a", 1)] * (seed % 5 == 0)
    cut = draw.randint(0, len(drawn))
    parts = [drawn[:cut], drawn[cut:]]
    rows = Rows(listing_of(items))

    def found() -> list[list[int]]:
        columns = [([name for name, _ in part], np.array([label for _, label in part], np.int64)) for part in parts]
        return [rows.take(*pair).tolist() for pair in columns]

    expected = literal(items, parts)
    if expected is None:
        with pytest.raises(UserError, match="a was added or changed"):
            found()
    else:
        assert found() == expected
