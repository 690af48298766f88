import threading

import pytest

from lptpp.data import cache as threads
from lptpp.data.cache import in_threads


def test_results_are_in_order_and_progress_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CHUNK", 3)
    messages: list[tuple[int, int]] = []
    found = in_threads(lambda i: i * i, range(8), lambda done, total: messages.append((done, total)))
    assert list(found) == [i * i for i in range(8)]
    assert messages == [(i, 8) for i in range(1, 9)]
    assert list(in_threads(str, [])) == []


def test_an_error_arrives_and_nothing_more_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CHUNK", 50)
    begun: list[int] = []

    def work(i: int) -> int:
        begun.append(i)
        if i == 2:
            raise KeyboardInterrupt
        return i

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(work, range(1000)))
    assert max(begun) < 50


def test_it_works_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    assert sorted(in_threads(lambda _: both.wait(), [0, 1])) == [0, 1]
