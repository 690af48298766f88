import logging

import pytest

from lptpp.utils import progress


def test_outside_of_a_terminal_progress_is_logged_ever_more_seldom(monkeypatch, caplog) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "FIRST_LINE", 2.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(logging.getLogger("lptpp"), "propagate", True)
    with caplog.at_level(logging.INFO, "lptpp"), progress.progress_bar("Reading", 20_000, unit="lines") as bar:
        for _ in range(20):
            now[0] += 1
            bar.advance(1000, note="fine" if now[0] > 10 else "")
    lines = [record.getMessage() for record in caplog.records]
    found = ("2,000 of 20,000 lines", "6,000 of 20,000 lines", "14,000 of 20,000 lines, fine")
    assert lines == [f"Reading: {one}" for one in found]


@pytest.mark.parametrize("total, text", [(None, "Listing: 5"), (9, "Listing: 5 of 9")])
def test_the_count_starts_where_the_work_does(total, text, monkeypatch, caplog) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    monkeypatch.setattr(logging.getLogger("lptpp"), "propagate", True)
    with caplog.at_level(logging.INFO, "lptpp"), progress.progress_bar("Listing", total, done=4) as bar:
        bar.advance()
    assert [record.getMessage() for record in caplog.records] == [text]
