"""Rows of mixtures without a scorer in an evaluation."""

import logging
import shutil

import numpy as np
import pytest
import torch

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.run import evaluate_run
from lptpp.evaluation.table import MIXING, ResultRow
from lptpp.inference.runtime import Runner
from lptpp.training.fit import fit


def test_the_oracle_is_right_wherever_an_expert_is_and_the_rows_come_last(trained, pictures):
    images = ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)
    found = evaluate(trained.mixture, images, Runner(torch.device("cpu")), ["mixing"])
    added = {"average_logits", "constant_weight", "oracle"}
    assert {row.kind for row in list(found.rankings)[-3:]} == added < set(MIXING)
    right = {row: ranking.classes[:, 0] == found.labels for row, ranking in found.rankings.items()}
    experts = right[ResultRow("phase2", "visual")] | right[ResultRow("phase2", "language")]
    assert right[ResultRow("oracle")].tolist() == experts.tolist()


def test_evaluate_adds_them_when_asked(trained, tmp_path, caplog):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    with caplog.at_level(logging.INFO, "lptpp"):
        rows, _ = evaluate_run(run, ["evaluation.controls=[mixing]", "evaluation.baselines=[]"])
    assert set(rows["rows"]) & set(MIXING) == {"average_logits", "constant_weight", "oracle"}
    assert "No row with one weight per expert and class" in caplog.text
    rows, _ = evaluate_run(run, ["evaluation.baselines=[]"])
    assert not set(MIXING) & set(rows["rows"])


@pytest.mark.usefixtures("no_figures")
def test_training_fits_weights_of_classes_for_any_scorer_when_asked(settings_of, tmp_path):
    short = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[]"]
    rows = fit(settings_of(tmp_path / "run", *short, "evaluation.controls=[mixing]")).metrics["rows"]
    assert set(rows) & set(MIXING) == {"average_logits", "constant_weight", "class_weights", "oracle"}
