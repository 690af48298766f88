import json
from pathlib import Path

import numpy as np
import pytest

from lptpp.prediction.store import FEATURES, ROWS, Store

TOTAL, CHUNK, WIDTH = 8, 3, 2


def rows(start: int, stop: int) -> list[dict]:
    return [{"image": f"é {number}\n", "probability": number / 7} for number in range(start, stop)]


def features(start: int, stop: int) -> np.ndarray:
    return np.arange(start * WIDTH, stop * WIDTH, dtype=np.float64).reshape(-1, WIDTH)


def filled(folder: Path, width: int = WIDTH) -> Store:
    store = Store(folder, CHUNK, TOTAL, width)
    for start in range(store.done, TOTAL, CHUNK):
        stop = min(start + CHUNK, TOTAL)
        store.append(rows(start, stop), features(start, stop))
    return store


def test_what_was_appended_comes_back(tmp_path):
    store = filled(tmp_path)
    assert store.done == TOTAL
    assert list(store.rows()) == rows(0, TOTAL)
    np.testing.assert_array_equal(store.features(), features(0, TOTAL))
    assert store.features().dtype == np.float32
    assert Store(tmp_path, CHUNK, TOTAL, WIDTH).done == TOTAL


def test_nothing_is_a_store_too(tmp_path):
    store = Store(tmp_path, CHUNK, 0, WIDTH)
    assert (store.done, list(store.rows()), store.features().shape) == (0, [], (0, WIDTH))


@pytest.mark.parametrize("width", [0, WIDTH])
def test_cut_off_anywhere_it_goes_on_from_the_last_whole_chunk_and_ends_with_the_same_bytes(
    width, tmp_path, monkeypatch
):
    filled(tmp_path, width)
    names = (ROWS, FEATURES) if width else (ROWS,)
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    line = [len(json.dumps(row, ensure_ascii=False).encode()) + 1 for row in rows(0, TOTAL)]
    ends = np.cumsum([0, *line])
    for kept in sorted({*ends, *(ends[1:] - 1), *(ends[:-1] + 1)}):  # at the ends of the lines and beside them
        for name in names:
            (tmp_path / name).write_bytes(whole[name])
        (tmp_path / ROWS).write_bytes(whole[ROWS][:kept])
        lines = sum(sum(line[: number + 1]) <= kept for number in range(TOTAL))
        assert Store(tmp_path, CHUNK, TOTAL, width).done == (TOTAL if lines == TOTAL else lines // CHUNK * CHUNK)
        filled(tmp_path, width)
        assert {name: (tmp_path / name).read_bytes() for name in names} == whole


@pytest.mark.parametrize("kept, done", [(0, 0), (23, 0), (24, 3), (47, 3), (48, 6), (63, 6), (64, 8)])
def test_rows_whose_features_were_lost_are_computed_again(kept, done, tmp_path):
    filled(tmp_path)
    whole = (tmp_path / FEATURES).read_bytes()  # 8 bytes a row
    (tmp_path / FEATURES).write_bytes(whole[:kept])
    assert Store(tmp_path, CHUNK, TOTAL, WIDTH).done == done
    assert len((tmp_path / ROWS).read_bytes().splitlines()) == done
    filled(tmp_path)
    assert (tmp_path / FEATURES).read_bytes() == whole
