"""Passes over pictures for what an evaluation adds at test time: the adjusted rows and the fitted temperature."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from lptpp.answer import answer
from lptpp.data.loader import Views
from lptpp.data.pictures import Pictures
from lptpp.evaluation.adjustment import Adjustment
from lptpp.evaluation.evaluate import Ranking, best_classes, joined
from lptpp.evaluation.temperature import fit_temperature, write_fitted
from lptpp.evaluation.views import VIEWS, of_batch
from lptpp.mixture import Mixture
from lptpp.outputs import Runner, each_once

log = logging.getLogger("lptpp")


@torch.no_grad()
def adjusted_rankings(
    mixture: Mixture, pictures: Pictures, rows: dict[str, Adjustment], runner: Runner
) -> dict[str, Ranking]:
    """Return the ranking of every row, in one pass over the pictures."""
    views = next((row.views for row in rows.values() if row.views != "one"), "one")
    found: dict[str, list[Ranking]] = {name: [] for name in rows}
    for probabilities, _ in judged(mixture, pictures, views, runner, "Test-time rows") if rows else ():
        for name, row in rows.items():
            found[name].append(best_classes(row(probabilities)))
    return {name: joined(parts) for name, parts in found.items()}


def judged(
    mixture: Mixture, pictures: Pictures, views: str, runner: Runner, description: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the mixture's probabilities (B, V, C) of V views of every picture, and labels (B,), batch by batch."""
    number, transform = VIEWS[views]
    runner = replace(runner, batch_size=max(1, runner.batch_size // number))
    transforms = {name: of_batch(transform(e.backbone.preprocessing)) for name, e in mixture.experts.items()}
    seen = Views(pictures, pictures.split.labels, transforms)
    for said, labels, _ in runner.judgements(mixture, seen, each_once(pictures), description):
        yield answer(mixture, said, number).of_views, labels


@torch.no_grad()
def fit_on_validation(mixture: Mixture, pictures: Pictures, runner: Runner, folder: Path) -> float:
    """Return the temperature fitted on the pictures of the validation part, and write it into the run folder."""
    batches = judged(mixture, pictures, "one", runner, "Fitting the temperature")
    plain = ((probabilities[:, 0], labels) for probabilities, labels in batches)
    fitted = fit_temperature(plain, "validation", mixture.fingerprint())
    write_fitted(folder, fitted)
    log.info(
        "Temperature %.3f, fitted on %d validation images: negative log-likelihood %.4f, before %.4f.",
        fitted.temperature, fitted.images, fitted.loss_after, fitted.loss_before,
    )  # fmt: skip
    return fitted.temperature
