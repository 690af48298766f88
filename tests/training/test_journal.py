import json
from itertools import product

import pytest

from lptpp.config.stages import StageKey
from lptpp.training.journal import Journal
from lptpp.training.loop import Position

B, A = STAGES = [StageKey("b", 1), StageKey("a", 1)]  # in their order, which is not the alphabet's


def records(epochs: int = 2, batches: int = 3) -> list[dict]:
    found = []
    for stage, epoch in product(STAGES, range(1, epochs + 1)):
        found += [{"stage": str(stage), "epoch": epoch, "batch": batch, "loss": 0.5} for batch in range(1, batches + 1)]
        found.append({"stage": str(stage), "epoch": epoch, "loss": 0.25})
    return found


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_come_in_the_order_of_the_run(tmp_path):
    journal = Journal(tmp_path / "history.jsonl", STAGES, None)
    places = [journal.place(record) for record in records()]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    "position, kept",
    [
        (None, 0),
        (Position(B, 0, 0), 0),
        (Position(B, 0, 2), 2),  # stopped within the first epoch
        (Position(B, 0, 3), 3),  # after its last step, before the epoch was written down
        (Position(B, 1, 0), 4),
        (Position(B, 2, 0), 8),
        (Position(A, 1, 1), 13),
        (Position(A, 2, 0), 16),
    ],
)
def test_what_comes_again_is_dropped(position, kept, tmp_path):
    path = tmp_path / "history.jsonl"
    journal = Journal(path, STAGES, None)
    for record in records():
        journal.add(record)
    again = Journal(path, STAGES, position)
    assert lines(path) == again.records == records()[:kept]
    assert again.known_until == journal.place(records()[-1])
    for record in records()[kept:]:
        again.add(record)
    assert lines(path) == records()


def test_a_line_cut_short_and_other_rubbish_are_no_records(tmp_path):
    path = tmp_path / "history.jsonl"
    good = json.dumps(records()[0])
    path.write_text("\n".join([good, '{"stage": "c", "epoch": 1}', "[]", '{"stage": "b/phase1"}', good[:-9]]))
    journal = Journal(path, STAGES, Position(A))
    assert journal.records == lines(path) == records()[:1]
    assert journal.known_until == (0, 1, 1)


def test_a_new_file_is_empty(tmp_path):
    journal = Journal(tmp_path / "history.jsonl", STAGES, None)
    assert (tmp_path / "history.jsonl").read_text() == ""
    assert journal.known_until < journal.place(records()[0])


def test_a_loss_without_end_is_still_json(tmp_path):
    journal = Journal(tmp_path / "history.jsonl", STAGES, None)
    journal.add({"stage": "b/phase1", "epoch": 1, "loss": float("nan")})
    assert lines(tmp_path / "history.jsonl")[0]["loss"] is None
