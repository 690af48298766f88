"""The rows and columns of the shot table: keys for files, titles for people, and number formatting."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lptpp.utils.text import counted

ACCURACIES = {
    "overall": "Overall",
    "many": "Many",
    "medium": "Medium",
    "few": "Few",
    "mean_class": "Mean class",
}
BALANCED = {key: name for key, name in ACCURACIES.items() if key != "mean_class"}  # there it equals overall
COLUMNS = {**ACCURACIES, "calibration_error": "ECE"}
MISSING = "–"

BASELINES = {
    "zero_shot": "zero-shot",
    "class_means": "class means",
    "linear_probe": "linear probe",
    "balanced_probe": "balanced probe",
}
PROBES = ("linear_probe", "balanced_probe")
JOINT = {f"joint_{kind}": f"{BASELINES[kind]}, all towers" for kind in PROBES}
PHASES = {"phase1": "phase 1", "phase2": "phase 2"}
MIXING = {  # control rows of the scorer
    "average_probabilities": "average of probabilities",
    "average_logits": "average of logits",
    "constant_weight": "one weight per expert",
    "class_weights": "one weight per expert and class",
    "oracle": "oracle: the correct expert",
}
COMBINED = {"average": "plain average", **MIXING, "mixture": "LPT++"}
CONTROLS = {"phase2_random": "random groups", "phase2_none": "no groups", "phase2_mean": "mean of groups"}
OF_EXPERT = {**PHASES, **CONTROLS}
UPPER_BOUNDS = ("oracle",)
COMMON = {**COMBINED, **JOINT}  # of all experts together
KEY = re.compile(
    rf"((?P<combined>{'|'.join(COMMON)})"
    rf"|(?P<expert>[^.]+)\.(?P<kind>{'|'.join([*BASELINES, *OF_EXPERT])}))"
    r"(\.(?P<views>flip|five_crops))?(\.temperature=(?P<temperature>.+?))?(\.prior=(?P<prior>.+))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class ResultRow:
    """A row of the shot table: what predicts, and with which test-time options.

    `str(row)` is its key in files, such as `visual.phase1`, `language.linear_probe`, `average`, `mixture` or
    `mixture.flip.temperature=2`; `parse` is the inverse. `title` is for people and never parsed.
    """

    kind: str  # of BASELINES, PHASES, CONTROLS, COMBINED or JOINT
    expert: str = ""  # empty for COMBINED and JOINT
    views: str = "one"
    temperature: str = "1"  # a number, or "fitted"
    prior: str = ""  # "uniform", "training" or the name of a file

    @classmethod
    def parse(cls, key: str) -> "ResultRow":
        """Return the row with a key.

        Raises:
            ValueError: `key` is not the key of a row.
        """
        found = KEY.fullmatch(key)
        if found is None:
            raise ValueError(f"{key!r} is not a row of the shot table")
        kind = found["combined"] or found["kind"]
        views, temperature = found["views"] or "one", found["temperature"] or "1"
        return cls(kind, found["expert"] or "", views, temperature, found["prior"] or "")

    def __str__(self) -> str:
        options = (
            "" if self.views == "one" else self.views,
            "" if self.temperature == "1" else f"temperature={self.temperature}",
            f"prior={self.prior}" if self.prior else "",
        )
        return ".".join(filter(None, (self.expert, self.kind, *options)))

    @property
    def title(self) -> str:
        """The name of the row in tables and figures."""
        options = (
            "" if self.views == "one" else self.views.replace("_", " "),
            "" if self.temperature == "1" else f"temperature {self.temperature}",
            f"prior {self.prior}" if self.prior else "",
        )
        return ", ".join(filter(None, (self._predictor(), *options)))

    def _predictor(self) -> str:
        if not self.expert:
            return COMMON[self.kind]
        if self.kind in OF_EXPERT:
            return f"{self.expert}, {OF_EXPERT[self.kind]}"
        return f"{BASELINES[self.kind]}, {self.expert}"

    @property
    def is_bound(self) -> bool:
        """Whether it uses the true class: no model can, so it is not compared with others."""
        return self.kind in UPPER_BOUNDS

    @property
    def plain(self) -> "ResultRow":
        """The same row without test-time options."""
        return replace(self, views="one", temperature="1", prior="")


ECE_OF_PROBES = (
    "The ECE of probes says little: their regularization is chosen for accuracy, and balanced ones assume equally"
    " frequent classes."
)


def notes(
    rows: Iterable[str], columns: Collection[str], tested: Mapping[str, Mapping[str, int]] | None
) -> Iterator[str]:
    """Yield what a reader of a shot table should know: the images behind its columns, the ECE of probes.

    `tested` is what `lptpp.evaluation.metrics.tested_by_shot` returns.
    """
    found = {
        shot: f"{counted(of['images'], 'image')} of {counted(of['classes'], 'class')}"
        for shot, of in (tested or {}).items()
        if of["images"]
    }
    if found:
        yield f"tested on: {', '.join(f'{shot} {images}' for shot, images in found.items())}"
    if "calibration_error" in columns and any("balanced_probe" in ResultRow.parse(row).kind for row in rows):
        yield ECE_OF_PROBES


AVERAGE, MIXTURE = ResultRow("average"), ResultRow("mixture")


def titles(rows: Iterable[str]) -> dict[str, str]:
    """Return the titles of rows by their keys."""
    return {key: ResultRow.parse(key).title for key in rows}


def best_cells(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the largest value of each accuracy column as it is printed: values that look equal are equal."""
    rows = list(rows)
    values = {key: [row[key] for row in rows if known(row.get(key))] for key in ACCURACIES}
    return {key: one_decimal(max(numbers)) for key, numbers in values.items() if numbers}


def known(value: float | None) -> bool:
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def one_decimal(value: float | None) -> str:
    """Return a number with one decimal; a dash for None or a value that is not finite."""
    return f"{value:.1f}" if value is not None and known(value) else MISSING


def two_digits(value: float) -> str:
    """Return a number with one decimal; a smaller one with two significant digits, such as 0.031 or 0.0057; or 0."""
    if not value:
        return "0"
    return f"{value:.1f}" if value >= 0.095 else f"{value:.{1 - math.floor(math.log10(value))}f}"


def thousands(value: int | None) -> str:
    """Return a whole number with thousands separators; a dash for None."""
    return MISSING if value is None else f"{value:,}"
