"""A time budget: the arithmetic, a fake clock through a whole measurement, and an exact resume."""

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lptpp import api
from lptpp.checkpoint.identity import BUDGET
from lptpp.config import run_settings
from lptpp.data.prepare import load_dataset
from lptpp.training.time_budget import RESERVE, fit_epochs, fitting, measure, warn_about_few_epochs, warn_about_overrun
from lptpp.utils.durations import parse_time
from lptpp.utils.errors import UserError
from lptpp.utils.text import duration

pytestmark = pytest.mark.usefixtures("no_sections")
METHOD = ["method=vpt_deep", "phase1.batch_size=4", "evaluation.baselines=[]"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("20m", 1200), ("1h30m", 5400), ("90s", 90), ("2h", 7200), ("1h4min5sec", 3845)]
)
def test_a_duration_in_seconds(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["20", "m", "0m", "20 m", "1.5h", "m20", "-5m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match="expected a duration such as 20m"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "steps", "wanted", "expected"),
    [
        (100, {"phase1": 10.0}, {"phase1": 3}, {"phase1": 10}),
        (100, {"phase1": 10.0, "phase2": 20.0}, {"phase1": 4, "phase2": 2}, {"phase1": 6, "phase2": 2}),
        (60, {"phase1": 10.0, "phase2": 20.0}, {"phase1": 20, "phase2": 1}, {"phase1": 4, "phase2": 1}),
        (95, {"phase1": 10.0, "phase2": 20.0}, {"phase1": 4, "phase2": 2}, {"phase1": 5, "phase2": 2}),
        (5, {"phase1": 10.0, "phase2": 20.0}, {"phase1": 4, "phase2": 2}, {"phase1": 1, "phase2": 1}),
    ],
)
def test_the_epochs_fit_in_their_proportion(seconds, steps, wanted, expected):
    found = fitting(seconds, steps, wanted)
    assert found == expected
    if min(found.values()) > 1:
        assert sum(found[phase] * steps[phase] for phase in found) <= seconds


def ticking():
    """Return a clock that moves on by one second at each look."""
    ticks = count()
    return lambda: float(next(ticks))


def test_the_time_of_an_epoch_is_that_of_its_steps_on_a_fake_clock(settings_of, tmp_path):
    settings = settings_of(tmp_path, *METHOD)
    dataset = load_dataset(settings)
    steps, fixed = measure(settings, dataset, ticking())
    assert steps == {"phase1": -(-len(dataset.train) // 4)}  # a second a step
    assert fixed == 2 + 2  # loading and the views; a second for each pass: first classifier, evaluation


class Slow:
    """A clock that a model moves on: by a second for each image and by five for each pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def features_of(self, compute, expert, images, runner, name) -> None:
        self.now += 5 + len(images)


def test_what_is_not_training_takes_the_time_of_its_passes(settings_of, tmp_path, monkeypatch):
    settings = settings_of(tmp_path, "method=vpt_deep", "evaluation.baselines=[linear_probe]")
    dataset, clock = load_dataset(settings), Slow()
    monkeypatch.setattr("lptpp.training.time_budget.features_of", clock.features_of)
    monkeypatch.setattr("lptpp.training.time_budget.seconds_per_step", lambda *_: 1.0)
    _, fixed = measure(settings, dataset, clock)
    splits = [len(images) for images in dataset.splits().values()]
    passes = [len(dataset.train), len(dataset.test), *splits]  # first classifier, evaluation, features of the probe
    assert fixed == pytest.approx(5 * len(passes) + sum(passes))


@pytest.mark.parametrize(("taken", "told"), [(301.0, "This took 5m1s, longer than the time budget of 5m."), (299, "")])
def test_a_budget_that_was_not_kept_is_told(taken, told, caplog):
    warn_about_overrun(300, taken)
    assert "".join(caplog.messages) == told


def test_less_than_half_of_the_epochs_is_told(settings_of, tmp_path, caplog):
    wanted, half = (settings_of(tmp_path, f"phase1.epochs={number}", "phase2.epochs=3") for number in (8, 4))
    few = settings_of(tmp_path, "phase1.epochs=3", "phase2.epochs=1")
    warn_about_few_epochs(240, half, wanted)
    assert not caplog.messages
    warn_about_few_epochs(240, few, wanted)
    assert caplog.messages == [
        "The time budget of 4m left 3 of 8 epochs of phase1 and 1 of 3 epochs of phase2: more time may give a better"
        " model."
    ]


def test_the_epochs_are_told_recorded_and_the_same_at_a_resume(settings_of, tmp_path, caplog):
    caplog.set_level("INFO", "lptpp")
    settings = settings_of(tmp_path / "new", *METHOD)
    dataset = load_dataset(settings)
    ticks = count()
    steps, fixed = measure(settings_of(tmp_path, *METHOD), dataset, lambda: float(next(ticks)))
    measuring = next(ticks) + 1  # looks at the clock
    seconds = int((measuring + fixed + 7 * steps["phase1"]) / (1 - RESERVE)) + 1
    found = fit_epochs(settings, seconds, ticking())
    assert found == replace(settings, phase1=replace(settings.phase1, epochs=7))
    assert caplog.messages[0].startswith(f"Measuring how many epochs fit into {duration(seconds)}")
    assert "Epochs: 7 in phase1" in caplog.text
    assert json.loads((tmp_path / "new" / BUDGET).read_text())["epochs"] == {"phase1": 7}

    def never() -> float:
        raise AssertionError("measured again")

    assert fit_epochs(settings, seconds, never) == found
    more = seconds + int(steps["phase1"] / (1 - RESERVE)) + 1
    assert fit_epochs(settings, more, ticking()).phase1.epochs == 8  # nothing is trained yet


def test_measuring_leaves_the_run_as_it_would_be_without(settings_of, tmp_path):
    one = settings_of(tmp_path / "timed", *METHOD, "phase1.epochs=2")
    other = settings_of(tmp_path / "plain", *METHOD, "phase1.epochs=2")
    (tmp_path / "timed").mkdir(exist_ok=True)
    measure(one, load_dataset(one), ticking())
    assert api.fit(one)["rows"] == api.fit(other)["rows"]


def test_a_run_started_without_a_budget_is_refused(trained, settings_of, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    with pytest.raises(UserError, match=rf"started without --time and keeps its epochs: `lptpp fit {run}` "):
        fit_epochs(settings_of(run), 60)


def test_another_budget_or_none_says_what_is_kept_and_how_to_train_anew(trained, settings_of, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    settings = run_settings(run)
    epochs = {phase: getattr(settings, phase).epochs for phase in ("phase1", "phase2")}
    (run / BUDGET).write_text(json.dumps({"seconds": 90, "epochs": epochs}))
    kept = ", ".join(f"{number} in {phase}" for phase, number in epochs.items())
    assert fit_epochs(settings, 90) == settings
    with pytest.raises(UserError) as error:
        fit_epochs(settings, 1200)
    assert str(error.value) == (
        f"{run} was started with --time 1m30s and keeps its epochs ({kept}): `lptpp fit {run}` resumes it or shows its"
        f" result. To train again with --time 20m, set another run=FOLDER or delete {run}."
    )
    with pytest.raises(UserError, match=r"delete it\. Its epochs were chosen by --time 1m30s, which resumes it too"):
        api.fit(replace(settings, phase1=replace(settings.phase1, epochs=9)))
    with pytest.raises(UserError, match=r"phase1.batch_size.* or delete it\.$"):
        api.fit(replace(settings, phase1=replace(settings.phase1, batch_size=3)))
