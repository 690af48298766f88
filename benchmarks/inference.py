"""How many images a second the rows of an accuracy table judge, all of them side by side."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from lptpp import Model, load
from lptpp.inference.runtime import make_accelerator
from lptpp.models.encoder import AdaptedEncoder
from timing import Case, measure

IMAGES = 128


@torch.no_grad()
def images_a_second(asked: Mapping[tuple[str, str], Path], rounds: int = 9) -> dict[str, dict[str, float]]:
    """Return run -> row -> images a second for (run, row) -> run folder, at the default precision."""
    accelerator = make_accelerator()
    models = {path: load(path) for path in set(asked.values())}
    cases = [
        Case(f"{run}/{row}", _autocast(judge(models[path], row), accelerator.autocast), IMAGES)
        for (run, row), path in asked.items()
    ]
    found = measure("Images a second", cases, accelerator.device, rounds)
    speeds: dict[str, dict[str, float]] = {}
    for run, row in asked:
        speeds.setdefault(run, {})[row] = found[f"{run}/{row}"].images_a_second
    return speeds


def judge(model: Model, row: str) -> Callable[[], object]:
    """Return what judges a batch of random images as a row does."""
    mixture = model.mixture
    views = {
        name: torch.randn(IMAGES, 3, *expert.backbone.preprocessing.size) for name, expert in mixture.experts.items()
    }
    first, second = ([*row.split(", "), ""])[:2]
    if second == "phase 1":
        return lambda: mixture.experts[first].phase1(views[first])
    if second == "phase 2":
        return lambda: mixture.experts[first](views[first])
    if second in mixture.experts:  # rows on frozen features
        return lambda: AdaptedEncoder(mixture.experts[second].encoder.tower).query_feature(views[second])
    return lambda: mixture(views)


def _autocast(run: Callable[[], object], autocast: Callable) -> Callable[[], object]:
    def inside() -> object:
        with autocast():
            return run()

    return inside
