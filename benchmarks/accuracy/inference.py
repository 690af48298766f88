"""Images per second of the rows of the accuracy table, measured interleaved."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from benchmarks.speed.timing import Case, measure
from lptpp import Model, load
from lptpp.evaluation.table import BASELINES, JOINT, ResultRow
from lptpp.inference.runtime import make_accelerator
from lptpp.models.encoder import AdaptedEncoder

IMAGES = 128


@torch.no_grad()
def images_per_second(selected: Mapping[tuple[str, str], Path], rounds: int = 9) -> dict[str, dict[str, float]]:
    """Return run -> row -> images per second for (run, row) -> run folder, at the default precision."""
    accelerator = make_accelerator()
    models = {path: load(path) for path in set(selected.values())}
    cases = [
        Case(f"{run}/{row}", _autocast(row_function(models[path], row), accelerator.autocast), IMAGES)
        for (run, row), path in selected.items()
    ]
    found = measure("Images per second", cases, accelerator.device, rounds)
    speeds: dict[str, dict[str, float]] = {}
    for run, row in selected:
        speeds.setdefault(run, {})[row] = found[f"{run}/{row}"].images_per_second
    return speeds


def row_function(model: Model, row: str) -> Callable[[], object]:
    """Return a function that classifies a batch of random images like a row of the table."""
    mixture = model.mixture
    views = {
        name: torch.randn(IMAGES, 3, *expert.backbone.preprocessing.size) for name, expert in mixture.experts.items()
    }
    kind, name = ResultRow.parse(row).kind, ResultRow.parse(row).expert
    if kind in ("phase1", "phase2_none"):
        return lambda: mixture.experts[name].phase1(views[name])
    if kind in ("phase2", "phase2_random", "phase2_mean"):
        return lambda: mixture.experts[name](views[name])
    if kind in BASELINES:  # on frozen features
        return lambda: AdaptedEncoder(mixture.experts[name].encoder.tower).query_feature(views[name])
    if kind in JOINT:
        towers = {name: AdaptedEncoder(expert.encoder.tower) for name, expert in mixture.experts.items()}
        return lambda: [tower.query_feature(views[name]) for name, tower in towers.items()]
    return lambda: mixture(views)


def _autocast(run: Callable[[], object], autocast: Callable) -> Callable[[], object]:
    def inside() -> object:
        with autocast():
            return run()

    return inside
