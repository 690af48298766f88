import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import lptpp
from lptpp import api
from lptpp.config import run_settings
from lptpp.evaluation.prior import assumed_prior
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError

pytestmark = pytest.mark.usefixtures("no_sections")
QUICK = "evaluation.baselines=[]"
ADJUSTED = [QUICK, "evaluation.views=five_crops", "evaluation.prior=training", "evaluation.temperature=2"]


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.fixture(scope="module")
def validated(settings_of, tmp_path_factory) -> Path:
    """A run with a validation split: 6 of the training images."""
    folder = tmp_path_factory.mktemp("validated") / "run"
    fit(settings_of(folder, "data.validation=0.4", "phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", QUICK))
    return folder


def accuracy(probabilities: np.ndarray) -> float:
    """Return the accuracy on the 12 test pictures, three of each class, in percent."""
    return 100 * float(np.mean(probabilities.argmax(1) == np.arange(12) // 3))


def test_each_option_adds_a_row_that_follows_from_the_views_and_leaves_the_others(run, trained, pictures):
    metrics = api.evaluate(run, ADJUSTED)
    plain = {name: row for name, row in trained.metrics["rows"].items() if "_probe" not in name}
    plain.pop("language.zero_shot")
    rows = metrics["rows"]
    added = [name for name in rows if name not in plain]
    assert added == [f"mixture.{name}" for name in ("five_crops", "temperature=2", "prior=training")] + [
        "mixture.five_crops.temperature=2.prior=training"
    ]
    assert {name: rows[name] for name in plain} == plain
    assert metrics["result"] == "mixture"
    assert metrics["test_time"] == {"views": "five_crops", "prior": "training", "assumed": "auto", "temperature": "2"}

    model = lptpp.load(run)
    views = (
        model.predict_batch(sorted(pictures.glob("test/*/*.png")), "five_crops").of_views.double().numpy()
    )  # (12, 5, C)
    change = np.array([8, 5, 3, 1]) / 17 / assumed_prior("auto", model.class_names, model.counts, model.settings)
    assert rows[added[0]]["overall"] == pytest.approx(accuracy(views.mean(1)))
    assert rows[added[1]]["overall"] == rows["mixture"]["overall"]
    assert rows[added[1]]["calibration_error"] != rows["mixture"]["calibration_error"]
    assert rows[added[2]]["overall"] == pytest.approx(accuracy(views[:, 0] * change))
    assert rows[added[3]]["overall"] == pytest.approx(accuracy(views.mean(1) ** 0.5 * change))


def test_the_files_tell_the_added_rows_beside_the_plain_answer(run, trained):
    api.evaluate(run, ADJUSTED)
    found, before = (list(csv.DictReader((f / "predictions.csv").open())) for f in (run, trained.folder))
    assert [row["label_1"] for row in found] == [row["label_1"] for row in before]
    assert {"mixture.five_crops.label", "mixture.five_crops.probability"} <= set(found[0])
    with (run / "per_class.csv").open() as file:
        assert "mixture.prior=training" in next(csv.reader(file))


def test_the_temperature_is_fitted_on_the_validation_part_and_kept(validated):
    metrics = api.evaluate(validated, [QUICK, "evaluation.temperature=fitted"])
    kept = json.loads((validated / "temperature.json").read_text())
    assert (metrics["split"], metrics["images"]) == ("test", 12)
    assert (kept["split"], kept["images"]) == ("validation", 6)
    assert kept["loss_after"] <= kept["loss_before"]
    assert kept["model"] == lptpp.load(validated).mixture.fingerprint()
    assert "mixture.temperature=fitted" in metrics["rows"]


def test_without_a_validation_part_no_temperature_is_fitted(run):
    with pytest.raises(UserError, match=r"evaluation\.temperature=fitted"):
        api.evaluate(run, ["evaluation.temperature=fitted"])
    assert not (run / "temperature.json").exists()


@pytest.mark.parametrize(
    "override, message",
    [
        ("evaluation.views=five_crop", r"evaluation\.views=five_crop: .*five_crops"),
        ("evaluation.temperature=0", r"evaluation\.temperature=0: "),
        ("evaluation.temperature=warm", r"evaluation\.temperature=warm: "),
        ("evaluation.prior=uniorm", r"uniorm"),
    ],
)
def test_a_wrong_option_is_refused_and_the_metrics_stay(override, message, run):
    before = (run / "metrics.json").read_text()
    with pytest.raises(UserError, match=message):
        api.evaluate(run, [QUICK, override])
    assert (run / "metrics.json").read_text() == before


def test_fit_on_a_finished_run_adds_the_rows_too(run, trained):
    assert api.fit(run_settings(run)) == trained.metrics
    metrics = api.fit(run_settings(run, [QUICK, "evaluation.views=flip"]))
    assert list(metrics["rows"])[-1] == "mixture.flip"
    assert api.fit(run_settings(run)) == metrics


@pytest.mark.parametrize("option, given", [("shot_thresholds", "[4,15]"), ("views", "flip")])
def test_fit_on_a_finished_run_shows_its_latest_evaluation(option, given, run, monkeypatch, caplog):
    settings = run_settings(run)
    latest = api.evaluate(run, [QUICK, f"evaluation.{option}={given}"])
    files = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    monkeypatch.setattr("lptpp.training.fit.write_evaluation", None)
    with caplog.at_level("INFO", "lptpp"):
        assert api.fit(settings) == json.loads(json.dumps(latest))
    assert f"with other settings: evaluation.{option}={given}. `lptpp evaluate {run}`" in caplog.text
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == files


def test_an_interrupted_evaluation_for_other_settings_is_repeated(run, monkeypatch, caplog):
    asked = [QUICK, "evaluation.shot_thresholds=[4,15]"]

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped, pytest.raises(BaseException), caplog.at_level("INFO", "lptpp"):  # noqa: B017
        stopped.setattr("lptpp.training.fit.write_evaluation", stop)
        api.fit(run_settings(run, asked))
    assert "only the evaluation is left" in caplog.text and "Resuming from" not in caplog.text
    before = json.loads((run / "metrics.json").read_text())["shot_thresholds"]
    assert f"It is repeated: evaluation.shot_thresholds was {before}, now [4, 15]." in caplog.text
    assert api.fit(run_settings(run, asked))["shot_thresholds"] == [4, 15]
