"""Rows of mixtures without a scorer in an evaluation."""

import shutil

import numpy as np
import torch

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.run import evaluate_run
from lptpp.evaluation.table import MIXING, ResultRow
from lptpp.inference.runtime import Runner


def test_the_oracle_is_right_wherever_an_expert_is_and_the_rows_come_last(trained, pictures):
    images = ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)
    found = evaluate(trained.mixture, images, Runner(torch.device("cpu")), ["mixing"])
    added = {"average_logits", "constant_weight", "oracle"}
    assert {row.kind for row in list(found.rankings)[-3:]} == added < set(MIXING)
    right = {row: ranking.classes[:, 0] == found.labels for row, ranking in found.rankings.items()}
    experts = right[ResultRow("phase2", "visual")] | right[ResultRow("phase2", "language")]
    assert right[ResultRow("oracle")].tolist() == experts.tolist()


def test_evaluate_adds_them_when_asked(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    rows, _ = evaluate_run(run, ["evaluation.controls=[mixing]", "evaluation.baselines=[]"])
    assert {"oracle", "constant_weight"} < set(rows["rows"])
    rows, _ = evaluate_run(run, ["evaluation.baselines=[]"])
    assert not set(MIXING) & set(rows["rows"])
