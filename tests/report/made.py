"""A run folder fabricated without training: random predictions, written by the evaluation's own writers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from lptpp.config import load_settings, to_yaml
from lptpp.data.dataset import Split
from lptpp.evaluation.files import class_rows, confusion_rows, group_rows, group_set_rows, mean_weights, prediction_rows
from lptpp.evaluation.findings import weight_ranges
from lptpp.evaluation.groups import group_metrics
from lptpp.evaluation.metrics import percent, tested_by_shot
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow
from lptpp.utils.io import write_csv, write_json

THRESHOLDS = (20, 100)


def make_run(
    folder: Path,
    counts: Sequence[int],
    names: Sequence[str] | None = None,
    method: str = "lptpp",
    tested: int | Sequence[int] = 3,
    epochs: int = 2,
    images: Sequence[Path] | None = None,
    extra_rows: Sequence[ResultRow] = (),
    overrides: Sequence[str] = (),
) -> Path:
    """Write the files of an evaluated run of classes with `counts` training and `tested` test images; return it."""
    folder.mkdir(parents=True)
    counts = np.array(counts)
    names = list(names or (f"class {index}" for index in range(len(counts))))
    settings_file = folder / "config.yaml"
    OmegaConf.save({"data": {"root": "/nowhere"}, "evaluation": {"shot_thresholds": list(THRESHOLDS)}}, settings_file)
    settings = load_settings(settings_file, [f"run={folder}", f"method={method}", *overrides])
    settings_file.write_text(to_yaml(settings), encoding="utf-8")
    labels = np.repeat(np.arange(len(counts)), tested)
    evaluation = random_evaluation(labels, len(counts), settings.experts, extra_rows)
    split = Split(list(images or (Path(f"/nowhere/{index}.png") for index in range(len(labels)))), labels)
    experts = list(settings.experts)
    write_csv(folder / "per_class.csv", class_rows(evaluation, names, counts, THRESHOLDS))
    write_csv(folder / "predictions.csv", prediction_rows(evaluation, split, names, experts))
    write_csv(folder / "confusion.csv", confusion_rows(evaluation, names))
    if evaluation.groups:
        write_csv(folder / "groups.csv", group_rows(evaluation, names))
        write_csv(folder / "group_sets.csv", group_set_rows(evaluation))
    write_csv(folder / "history.csv", made_history(evaluation, experts, epochs))
    write_json(folder / "metrics.json", made_metrics(evaluation, counts, names, settings.experts, method))
    return folder


def random_evaluation(labels: np.ndarray, classes: int, experts: dict, extra_rows: Sequence[ResultRow]) -> Evaluation:
    """Return an evaluation in which every row is correct about half of the time."""
    random = np.random.default_rng(0)
    rows = []
    for name, expert in experts.items():
        rows += [ResultRow("phase1", name)] + ([ResultRow("phase2", name)] if expert.group_prompts else [])
    rows += [AVERAGE, MIXTURE] if len(experts) > 1 else []
    result, rankings = rows[-1], {}
    for row in [*rows, *extra_rows]:
        right = random.random(len(labels)) < 0.5
        predicted = np.where(right, labels, random.integers(0, classes, len(labels)))
        rankings[row] = Ranking(predicted[:, None], random.random((len(labels), 1)))
    weights = random.dirichlet(np.ones(len(experts)), len(labels))
    best = rankings[result]
    truth = np.where(best.classes[:, 0] == labels, best.probabilities[:, 0], random.random(len(labels)) / 10)
    groups = {
        name: random.integers(0, expert.num_groups, (len(labels), expert.top_k))
        for name, expert in experts.items()
        if expert.group_prompts
    }
    return Evaluation(labels, rankings, result, weights, truth, groups)


def made_history(evaluation: Evaluation, experts: Sequence[str], epochs: int) -> list[dict]:
    stages = [f"{row.expert}/{row.kind}" for row in evaluation.rankings if row.kind in ("phase1", "phase2")]
    stages += ["mixture/phase3"] if len(experts) > 1 else []
    numbered = [(stage, epoch) for stage in stages for epoch in range(1, epochs + 1)]
    return [{"stage": s, "epoch": e, "loss": 3 / e, "learning_rate": 0.1, "seconds": 1.5} for s, e in numbered]


PARTS = {"shared prompts": 100, "adapters": 500, "group prompts": 200, "classifier": 200}


def made_metrics(evaluation: Evaluation, counts: np.ndarray, names: Sequence[str], experts: dict, method: str) -> dict:
    tested = set(evaluation.labels.tolist())
    return {
        "rows": evaluation.metrics(counts, THRESHOLDS),
        "result": str(evaluation.result),
        "mean_probability": percent(evaluation.rankings[evaluation.result].probabilities[:, 0]),
        "tested": tested_by_shot(evaluation.labels, counts, THRESHOLDS),
        "split": "test",
        "names_in_csv": "escaped",
        "images": len(evaluation.labels),
        "classes": len(counts),
        "classes_tested": len(tested),
        "untested_classes": [name for label, name in enumerate(names) if label not in tested],
        "training_images": int(counts.sum()),
        "shot_thresholds": list(THRESHOLDS),
        "method": method,
        "seed": 0,
        "tuned_parameters": 1000,
        "tuned_without_classifiers": 800,
        "tuned_parts": {**dict.fromkeys(experts, PARTS), **({"scorer": {"scorer": 50}} if len(experts) > 1 else {})},
        "backbone_parameters": 100_000,
        "tuned_share_percent": 1.0,
        "tuned_share_without_classifiers_percent": 0.8,
        "scorer_weights": mean_weights(evaluation, counts, THRESHOLDS, list(experts)),
        "scorer_weight_ranges": weight_ranges(evaluation.weights, list(experts)),
        "groups": group_metrics(evaluation, experts, counts, THRESHOLDS),
        "backbones": {name: {"name": "vision_lite2", "fingerprint": "abcdef0123456789"} for name in experts},
    }
