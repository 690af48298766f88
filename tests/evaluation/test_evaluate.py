import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lptpp.config import EvaluationSettings, saved_settings
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.evaluation.evaluate import evaluate, result_row, row_probabilities
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.run import evaluate_run
from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow
from lptpp.inference.pipeline import Pipeline
from lptpp.inference.runtime import Runner
from lptpp.utils.errors import UserError

EXPERTS = ["visual", "language"]


@pytest.fixture(scope="module")
def parts(pictures) -> ImageCache:
    return ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)


@pytest.fixture(scope="module")
def outputs(trained, parts):
    with torch.no_grad():
        return next(Pipeline(trained.mixture, Runner(torch.device("cpu"))).expert_outputs(parts, "Test"))[0]


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def test_every_row_is_a_softmax_written_out(trained, outputs):
    with torch.no_grad():
        rows, weights = row_probabilities(trained.mixture, outputs)
    softmax = {}
    for name in EXPERTS:
        for phase, cosines in ((1, outputs[name].phase1_cosines), (2, outputs[name].cosines)):
            powers = np.exp(20.0 * cosines.double().numpy())
            softmax[ResultRow(f"phase{phase}", name)] = powers / powers.sum(1, keepdims=True)
    finished = [softmax[ResultRow("phase2", name)] for name in EXPERTS]
    softmax[AVERAGE] = (finished[0] + finished[1]) / 2
    softmax[MIXTURE] = weights[:, :1].numpy() * finished[0] + weights[:, 1:].numpy() * finished[1]
    assert list(rows) == list(softmax)
    for name, expected in softmax.items():
        np.testing.assert_allclose(rows[name].numpy(), expected, rtol=1e-4)
    assert not np.allclose(softmax[AVERAGE], softmax[ResultRow("phase2", "visual")])


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_all_images_are_predicted_in_order_for_any_batch_size(batch_size, trained, parts, outputs):
    found = evaluate(trained.mixture, parts, Runner(torch.device("cpu"), batch_size=batch_size))
    with torch.no_grad():
        rows, weights = row_probabilities(trained.mixture, outputs)
    assert found.labels.tolist() == parts.split.labels.tolist()
    assert found.result == MIXTURE
    for name, ranking in found.rankings.items():
        expected = rows[name].sort(1, descending=True)
        assert ranking.classes.shape == (12, 4)
        np.testing.assert_allclose(ranking.probabilities, expected.values.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.weights, weights.numpy(), rtol=1e-4)


def test_one_expert_alone_has_neither_average_nor_scorer(settings_of, tmp_path):
    from lptpp.models.build import build_mixture

    mixture = build_mixture(settings_of(tmp_path, "method=lpt"), 4)
    with torch.no_grad():
        rows, weights = row_probabilities(mixture, mixture.forward_experts({"visual": torch.randn(3, 3, 8, 8)}))
    assert list(rows) == [ResultRow("phase1", "visual"), ResultRow("phase2", "visual")]
    assert result_row(mixture) == list(rows)[-1]
    assert weights.tolist() == [[1.0]] * 3


def test_the_metrics_of_each_row_are_its_own():
    right = Ranking(np.array([[0], [1], [2]]), np.array([[0.9], [0.8], [0.7]]))
    wrong = Ranking(np.array([[1], [1], [0]]), np.array([[0.9], [0.8], [0.7]]))
    evaluation = Evaluation(np.array([0, 1, 2]), {AVERAGE: wrong, MIXTURE: right}, MIXTURE)
    found = evaluation.metrics(np.array([200, 50, 2]), (20, 100))
    assert [found["mixture"][key] for key in ("overall", "many", "medium", "few")] == [100, 100, 100, 100]
    assert [found["average"][key] for key in ("many", "medium", "few")] == [0, 100, 0]
    assert found["average"]["overall"] == pytest.approx(100 / 3)


def test_evaluating_again_gives_the_metrics_of_the_run(run, trained):
    for name in ("metrics.json", "predictions.csv", "per_class.csv", "confusion.csv"):
        (run / name).unlink()
    assert evaluate_run(run)[0] == trained.metrics
    for name in ("metrics.json", "predictions.csv", "per_class.csv", "confusion.csv"):
        assert (run / name).read_text() == (trained.folder / name).read_text()


def test_evaluation_settings_may_change_and_the_runs_own_stay(run):
    before = (run / "config.yaml").read_text()
    overrides = ["evaluation.shot_thresholds=[4,7]", "evaluation.baselines=[]", "evaluation.batch_size=5", "workers=1"]
    metrics, _ = evaluate_run(run, overrides)
    assert metrics["shot_thresholds"] == [4, 7]
    assert "visual.linear_probe" not in metrics["rows"]
    assert (run / "config.yaml").read_text() == before
    with (run / "per_class.csv").open() as file:
        assert [row["shot"] for row in csv.DictReader(file)] == ["many", "medium", "few", "few"]


def test_overridden_batch_size_and_workers_reach_the_loader(run, monkeypatch):
    runners = []
    expert_outputs = Runner.expert_outputs
    monkeypatch.setattr(
        Runner, "expert_outputs", lambda self, *rest: (runners.append(self), expert_outputs(self, *rest))[1]
    )
    evaluate_run(run, ["evaluation.batch_size=5", "evaluation.baselines=[]"])
    assert [runner.batch_size for runner in runners] == [5]
    assert saved_settings(run / "config.yaml").evaluation.batch_size == EvaluationSettings().batch_size


@pytest.mark.parametrize("override", ["seed=1", "phase1.epochs=3", "method=lpt", "run=x", "evaluatoin.split=test"])
def test_what_training_depended_on_cannot_change(override, run):
    with pytest.raises(UserError, match=rf"{override} .*evaluation\.\*, "):
        evaluate_run(run, [override])


def test_a_missing_split_is_an_error(run):
    with pytest.raises(UserError, match=r"evaluation\.split=validation"):
        evaluate_run(run, ["evaluation.split=validation"])


def test_other_classes_are_refused(run, pictures, tmp_path):
    other = Path(shutil.copytree(pictures, tmp_path / "other"))
    for part in ("train", "test"):
        (other / part / "dog").rename(other / part / "duck")
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    with pytest.raises(UserError, match=r"4 added: test/duck/0\.png, .* 4 missing: test/dog/0\.png, "):
        evaluate_run(run, [f"data.root={other}"])
    assert {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()} == before


def test_the_images_may_lie_elsewhere(run, trained, pictures, tmp_path):
    moved = Path(shutil.copytree(pictures, tmp_path / "moved"))
    metrics, collection = evaluate_run(run, [f"data.root={moved}"])
    assert metrics == trained.metrics
    assert str(collection.train.images[0]).startswith(str(moved))


def test_the_confusion_and_the_classes_add_up(trained):
    rows = {}
    for name in ("confusion", "per_class", "predictions"):
        with (trained.folder / f"{name}.csv").open() as file:
            rows[name] = list(csv.DictReader(file))
    assert sum(int(row["images"]) for row in rows["confusion"]) == 12
    right = {row["true"]: int(row["images"]) for row in rows["confusion"] if row["true"] == row["predicted"]}
    for row in rows["per_class"]:
        assert float(row["mixture"]) == pytest.approx(100 * right.get(row["class"], 0) / 3, abs=0.01)
    assert [int(row["training_images"]) for row in rows["per_class"]] == [8, 5, 3, 1]
    weights = [float(row["visual.weight"]) + float(row["language.weight"]) for row in rows["predictions"]]
    assert weights == pytest.approx([1] * 12, abs=1e-5)
