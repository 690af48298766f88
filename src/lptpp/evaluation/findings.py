"""Sentences about the contents of a metrics.json: the result against all other rows, the scorer, zero-shot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.data.statistics import better_thresholds
from lptpp.evaluation.differences import is_undecided
from lptpp.evaluation.intervals import interval
from lptpp.evaluation.table import MIXTURE, ResultRow, known, one_decimal
from lptpp.utils.text import counted

MEASURES = {"overall": "overall", "mean_class": "in the mean over the classes", "few": "on few-shot classes"}
CONSTANT = 0.005  # a weight that differs less from 1/E is printed like it
NEARLY = 0.05
CLOSE = 1  # points between mean probability and accuracy that do not matter
UNDECIDED = 10  # points above chance that the interval of an accuracy must exclude
CHANCE = 0.02  # of the way from chance to 100%
Metrics = Mapping[str, Any]  # as in metrics.json


def findings(metrics: Metrics) -> list[str]:
    """Return all sentences that apply."""
    kinds = (comparison, constant_scorer, zero_shot_at_chance, harmful_options)
    return [sentence for kind in kinds for sentence in kind(metrics)]


def comparison(metrics: Metrics) -> Iterator[str]:
    """Yield how the result differs from the best of all other rows, for each of `MEASURES`, and whether by chance."""
    rows = {ResultRow.parse(key): row for key, row in metrics["rows"].items()}
    result = ResultRow.parse(metrics["result"])
    others = [row for row in rows if row.plain == row != result and not row.is_bound]
    parts, undecided = [], []
    for key, where in MEASURES.items():
        found = {row: rows[row][key] for row in others if known(rows[row].get(key))}
        if found and known(rows[result].get(key)):
            best = max(found, key=lambda row: found[row])
            relation = _relation(rows[result][key], found[best])
            parts.append(f"{where}{_images(metrics, key)} {relation} {best.title} ({found[best]:.1f}%)")
            undecided.append(is_undecided(metrics, str(best), key))
    if parts and all(undecided):
        images = counted(metrics["images"], "image")
        yield f"On {images}, {result.title} does not differ clearly from the best other row: {'; '.join(parts)}."
    elif parts:
        parts = [part + ", which may be chance" * unclear for part, unclear in zip(parts, undecided, strict=True)]
        yield f"Compared with the best other row, {result.title} is {'; '.join(parts)}."


def _images(metrics: Metrics, shot: str) -> str:
    """Return the number of images of a shot group in parentheses; nothing for other measures."""
    tested = (metrics.get("tested") or {}).get(shot)
    return f" ({counted(tested['images'], 'image')})" if tested else ""


def precision(metrics: Metrics) -> Iterator[str]:
    """Yield the 95% intervals of the result's accuracies: how far a comparison on so many images can be trusted."""
    row, few = metrics["rows"][metrics["result"]], (metrics.get("tested") or {}).get("few", {"images": 0})["images"]
    if not known(row.get("overall")):
        return
    of_few = ""
    if known(row.get("few")) and 0 < few < metrics["images"]:
        of_few = f", and on the {counted(few, 'image')} of few-shot classes {_ends(row['few'], few)}"
    images = counted(metrics["images"], "image")
    yield (
        f"On {images}, the 95% interval of the overall accuracy is {_ends(row['overall'], metrics['images'])}{of_few}."
    )


def one_shot_group(metrics: Metrics, counts: np.ndarray, run: Path) -> Iterator[str]:
    """Yield shot thresholds that yield three groups if (nearly) all classes are in one; counts: (C,) training images.

    The sentence ends with what a reader copies.
    """
    if better := better_thresholds(counts, metrics["shot_thresholds"]):
        problem, setting = better
        how = "evaluate again with" if "evaluated_on" in metrics else f"run: lptpp evaluate {run}"
        yield f"{problem} To split them into three groups, {how} {setting}"


def leaning(mean: float, accuracy: float, images: int) -> str:
    """Return whether probabilities are too high or too low on average: their mean against the accuracy, in percent."""
    low, high = interval(accuracy, images)
    if abs(mean - accuracy) <= CLOSE:
        return "about right"
    return "overconfident" if mean > high else "underconfident" if mean < low else "not clearly over- or underconfident"


def accuracy_text(accuracy: float, images: int) -> str:
    """Return an accuracy (percent) with its 95% interval and the number of images it was measured on."""
    return f"{accuracy:.1f}% (95% interval {_ends(accuracy, images)}, {counted(images, 'image')})"


def _ends(accuracy: float, images: int) -> str:
    low, high = interval(accuracy, images)
    return f"{low:.1f} to {high:.1f}%"


def trained_on(metrics: Metrics, run: str) -> Iterator[str]:
    """Yield how many of other images the run, by its name, was trained on, and how accurate it is on the rest.

    Nothing for its own test images.
    """
    if "trained_on" not in metrics:
        return
    known, images, training = metrics["trained_on"], metrics["images"], metrics["training_images"]
    if known is None:
        yield f"{run} does not record its training images, so it is unknown whether some are among these."
    else:
        number, verb = "None" if known == 0 else f"{known:,}", "are" if known > 1 else "is"
        caution = "; accuracy on these is higher than on new images" * (known > 0)
        identical = f"identical to one of the {training:,} training images of {run}"
        yield f"{number} of {images:,} images {verb} {identical}{caution}."
    if others := metrics.get("not_trained_on"):
        title, accuracy = ResultRow.parse(metrics["result"]).title, accuracy_text(others["overall"], others["images"])
        yield f"Without these, {title} has an overall accuracy of {accuracy}."


def _relation(value: float, best: float) -> str:
    difference = one_decimal(abs(value - best))
    if difference == "0.0":
        return "equal to"
    word = "point" if difference == "1.0" else "points"
    return f"{difference} {word} {'above' if value > best else 'below'}"


def weight_ranges(weights: np.ndarray, experts: list[str]) -> dict[str, list[float]]:
    """Return the smallest and the largest scorer weight of every expert, of weights (n, E)."""
    return {name: [float(of.min()), float(of.max())] for name, of in zip(experts, weights.T, strict=True)}


def constant_scorer(metrics: Metrics) -> Iterator[str]:
    """Yield a sentence if the scorer weighs all experts (nearly) equally on every image."""
    ranges: Mapping[str, list[float]] = metrics.get("scorer_weight_ranges") or {}
    if len(ranges) < 2 or ResultRow.parse(metrics["result"]) != MIXTURE:
        return
    equal = 1 / len(ranges)
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    farthest = max(high - equal, equal - low)
    if farthest < CONSTANT:
        yield f"The scorer weights never leave {equal:.2f}: {MIXTURE.title} is the plain average of its experts."
    elif farthest < NEARLY:
        yield (
            f"The scorer weights stay between {low:.2f} and {high:.2f}: {MIXTURE.title} is nearly the plain"
            " average of its experts."
        )


def zero_shot_at_chance(metrics: Metrics) -> Iterator[str]:
    """Yield a sentence for each zero-shot row whose mean class accuracy is that of guessing, 1/C."""
    chance = 100 / metrics["classes"]
    for key, values in metrics["rows"].items():
        row, accuracy = ResultRow.parse(key), values.get("mean_class")
        if row.kind != "zero_shot" or not known(accuracy):
            continue
        low, high = interval(accuracy, metrics["images"])
        if low <= chance and high - chance > UNDECIDED:
            yield (
                f"{counted(metrics['images'], 'image')} {'is' if metrics['images'] == 1 else 'are'} too few to tell"
                f" whether {row.title} ({accuracy:.1f}% in the mean over the classes) is better than guessing"
                f" ({chance:.1f}%)."
            )
        elif low <= chance or accuracy - chance < CHANCE * (100 - chance):
            yield (
                f"{row.title} is at chance level: {accuracy:.1f}% in the mean over the classes, where guessing gives"
                f" {chance:.1f}%. The text tower does not recognize these class names: set descriptive ones"
                " (data.class_names)."
            )


def harmful_options(metrics: Metrics) -> Iterator[str]:
    """Yield a sentence for each test-time option that is worse in overall and mean class accuracy and calibration."""
    result, plain = ResultRow.parse(metrics["result"]), metrics["rows"][metrics["result"]]
    for key, row in metrics["rows"].items():
        found = ResultRow.parse(key)
        if found.plain != result or found == result or not all(_worse(name, row, plain) for name in HARMED):
            continue
        if is_undecided(metrics, key, "overall"):
            continue
        already = " The scores were probably balanced already." if found.prior == "uniform" else ""
        yield f"{found.title} is less accurate and less well calibrated than {result.title}: do not use it.{already}"


HARMED = {"overall": -1, "mean_class": -1, "calibration_error": 1}  # the sign of a change for the worse


def _worse(name: str, row: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    before, after = plain.get(name), row.get(name)
    return before is not None and after is not None and HARMED[name] * (after - before) > 0
