import json
import pickle
import time

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lptpp.sweep.study import Study, Trial
from lptpp.utils.errors import UserError

SPACE = {
    "phase1.learning_rate": FloatDistribution(1e-3, 0.1, log=True),
    "phase1.epochs": IntDistribution(1, 9),
    "phase1.main.sampler": CategoricalDistribution(('"square_root"', '"class_balanced"')),
}


def study(tmp_path, seed: int = 0, minimize: bool = False) -> Study:
    return Study(tmp_path / "study.jsonl", SPACE, minimize, seed)


def value_of(trial: Trial) -> float:
    """A value that is best at a learning rate of 0.01."""
    rate = float(trial.overrides[0].split("=")[1])
    return -abs(rate - 0.01)


def run(tmp_path, stops: tuple[int, ...], total: int = 14) -> list[Trial]:
    """Run a study that is interrupted within some trials and reopened each time."""
    for stop in (*stops, None):
        for trial in (found := study(tmp_path)).due(total):
            if trial.number == stop:
                break
            found.finish(trial, None if trial.number == 3 else value_of(trial))
    return study(tmp_path).trials()


def test_a_resumed_study_proposes_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    unbroken = run(tmp_path / "a", ())
    assert [trial.number for trial in unbroken] == list(range(1, 15))
    assert len({trial.overrides for trial in unbroken}) == 14
    assert [trial.state for trial in unbroken] == ["finished"] * 2 + ["failed"] + ["finished"] * 11
    assert run(tmp_path / "b", (1, 4, 5, 13)) == unbroken


def test_an_unfinished_trial_comes_first_with_its_settings(tmp_path):
    first = next(study(tmp_path).due(5))
    again = study(tmp_path)
    assert again.trials() == [first]
    assert next(again.due(5)) == first
    assert first.overrides[1].startswith("phase1.epochs=")
    assert first.overrides[2] in ('phase1.main.sampler="square_root"', 'phase1.main.sampler="class_balanced"')


@pytest.mark.parametrize("minimize, expected", [(False, 3), (True, 2)])
def test_the_best_is_the_largest_or_the_smallest(minimize, expected, tmp_path):
    found = study(tmp_path, minimize=minimize)
    assert found.best() is None
    for trial, value in zip(found.due(4), (2.0, 1.0, 9.0, None), strict=True):
        found.finish(trial, value)
    assert (found.best().number, found.best().state) == (expected, "finished")


def test_another_seed_proposes_other_settings(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (next(study(tmp_path / name, seed).due(1)) for name, seed in (("a", 0), ("b", 1)))
    assert first.overrides != second.overrides


def test_the_file_is_json_lines_without_pickle(tmp_path, monkeypatch):
    for name in ("load", "loads", "dump", "dumps"):
        monkeypatch.setattr(pickle, name, lambda *arguments: pytest.fail("it pickles"))
    run(tmp_path, (2, 5), total=110)  # the journal of Optuna takes a snapshot every hundred lines if it can
    (path,) = tmp_path.iterdir()
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_an_incomplete_last_line_is_removed(tmp_path):
    found = study(tmp_path)
    for trial in found.due(2):
        found.finish(trial, 1.0)
    path = tmp_path / "study.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = study(tmp_path)
    assert [trial.state for trial in again.trials()] == ["finished", "unfinished"]
    for trial in again.due(3):
        again.finish(trial, 2.0)
    assert [trial.state for trial in study(tmp_path).trials()] == ["finished"] * 3


def test_a_study_cut_at_any_line_ends_the_same(tmp_path):
    """As after kill -9, which may come between two lines of a trial."""
    unbroken = run(tmp_path, (), total=3)
    path = tmp_path / "study.jsonl"
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == 10]
    for size in (*ends[3:8], ends[4] - 7, ends[-2] - 7, 0):
        path.write_bytes(content[:size])
        assert run(tmp_path, (), total=3) == unbroken


def test_a_lock_that_a_killed_process_left_stops_nobody(tmp_path):
    (tmp_path / "study.jsonl.lock").symlink_to("runs/sweep/study.jsonl")  # as Optuna makes it
    began = time.monotonic()
    next(study(tmp_path).due(1))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("content", [b"[]", b"{}", b"\xff", b'{"op_code": 99}', b'{"op_code":5,"trial_id":7}', b"1\n2"])
def test_a_damaged_study_is_refused_by_name(content, tmp_path):
    path = tmp_path / "study.jsonl"
    path.write_bytes(content + b"\n")
    with pytest.raises(UserError, match=r"study\.jsonl is damaged \(.*restore it, or choose another --output"):
        study(tmp_path)
