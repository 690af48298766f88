import numpy as np
import pytest

from lptpp.data.loader import Draws, woven


def literally_woven(orders: list[np.ndarray], size: int) -> list[int]:
    turns = []
    for start in range(0, len(orders[0]), size):
        for order in orders:
            turns.extend(order[start : start + size].tolist())
    return turns


@pytest.mark.parametrize("streams", [1, 2, 3])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 12, 13])
def test_orders_are_woven_batch_by_batch(streams: int, length: int) -> None:
    orders = [np.arange(length, dtype=np.int32) + 100 * stream for stream in range(streams)]
    found = woven(orders, 4)
    assert found.tolist() == literally_woven(orders, 4)
    assert found.dtype == np.int32


def test_slices_and_places_hold_the_same_draws() -> None:
    draws = Draws(np.array([5, 5, 2, 0, 1]), 3, "phase", 0)
    whole = [draws[place] for place in range(5)]
    assert [image for image, _ in whole] == [5, 5, 2, 0, 1]
    assert len({key for _, key in whole}) == 5
    assert draws[:] == list(draws) == whole
    assert draws[1:3] == whole[1:3] and draws[3:99] == whole[3:] and draws[9:] == []
    assert draws[-1] == whole[-1]
    with pytest.raises(IndexError):
        draws[5]


def test_keys_depend_on_seed_and_parts() -> None:
    made = [Draws(np.zeros(3, dtype=np.int64), *parts)[0] for parts in ((0, "a"), (1, "a"), (0, "b"), (0, "a", 1))]
    assert len(set(made)) == 4
