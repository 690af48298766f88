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
from lptpp.training.time_budget import FORWARD, fit_epochs, fitting, measure, parse_time
from lptpp.utils.errors import UserError

pytestmark = pytest.mark.usefixtures("no_figures")
METHOD = ["method=vpt_deep", "phase1.batch_size=4", "evaluation.baselines=[]"]


@pytest.mark.parametrize(("text", "seconds"), [("20m", 1200), ("1h30m", 5400), ("90s", 90), ("2h", 7200)])
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
    images, tested = len(dataset.train), len(dataset.test)
    assert steps == {"phase1": -(-images // 4)}  # a second a step
    views = max(1, min(settings.phase3.views, settings.phase3.epochs))
    assert fixed == pytest.approx(1 + FORWARD / 4 * (images + images * views + tested))


def test_the_epochs_are_told_recorded_and_the_same_at_a_resume(settings_of, tmp_path, caplog):
    caplog.set_level("INFO", "lptpp")
    settings = settings_of(tmp_path / "new", *METHOD)
    dataset = load_dataset(settings)
    steps, fixed = measure(settings_of(tmp_path, *METHOD), dataset, ticking())
    seconds = int(fixed + 7 * steps["phase1"]) + 1
    found = fit_epochs(settings, seconds, ticking())
    assert found == replace(settings, phase1=replace(settings.phase1, epochs=7))
    assert "Epochs: 7 in phase1" in caplog.text
    assert json.loads((tmp_path / "new" / BUDGET).read_text())["epochs"] == {"phase1": 7}

    def never() -> float:
        raise AssertionError("measured again")

    assert fit_epochs(settings, seconds, never) == found
    assert fit_epochs(settings, seconds + int(steps["phase1"]), ticking()).phase1.epochs == 8  # nothing is trained yet


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
        f" result. To train anew with --time 20m, set another run=FOLDER or delete {run}."
    )
    with pytest.raises(UserError, match=r"delete it\. Its epochs were chosen by --time 1m30s, which resumes it too"):
        api.fit(replace(settings, phase1=replace(settings.phase1, epochs=9)))
    with pytest.raises(UserError, match=r"phase1.batch_size.* or delete it\.$"):
        api.fit(replace(settings, phase1=replace(settings.phase1, batch_size=3)))
