"""Compare runs: those that differ only in their seed are summarized as mean ± standard deviation."""

import json
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lptpp.config import run_settings, to_dictionary
from lptpp.config.run_format import check_format
from lptpp.data.statistics import SHOTS, describe_shots
from lptpp.evaluation.answers import Answers, comparable_answers, not_in_all
from lptpp.evaluation.costs import COSTS, row_costs
from lptpp.evaluation.files import consistent, read_metrics
from lptpp.evaluation.table import ACCURACIES, COLUMNS, MISSING, ResultRow, one_decimal

MEASURES = (*COLUMNS, *COSTS)
DATA, THRESHOLDS = "data", "shot thresholds"


@dataclass(frozen=True)
class ComparedRun:
    """A finished run: its folder, its metrics, and its settings, empty if it has none."""

    folder: Path
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def kind(self) -> tuple[str, ...]:
        """Equal for runs that differ only in their seed: settings and what was evaluated."""
        others = {key: value for key, value in self.settings.items() if key not in ("seed", "run")}
        settings = json.dumps(others, sort_keys=True) if others else str(self.folder)
        return settings, self.metrics["split"], medium_range(self.metrics), data_size(self.metrics)

    @classmethod
    def read(cls, folder: Path) -> "ComparedRun":
        """Read the run in a folder.

        Raises:
            UserError: Its metrics are missing or damaged.
        """
        check_format(folder)
        metrics, config = read_metrics(folder), folder / "config.yaml"
        settings = to_dictionary(run_settings(folder)) if config.is_file() else {}
        found = cls(folder, metrics, settings)
        with consistent(folder):
            for row in flat_rows([found]):
                hash(row["split"])
                over_seeds([row])  # as it is compared later
        return found


@dataclass(frozen=True)
class Spread:
    """Mean of a measure over seeds, and its sample standard deviation if there are several."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        return one_decimal(self.mean) + ("" if self.deviation is None else f" ± {self.deviation:.1f}")


def spread(values: Sequence[float | None]) -> Spread | None:
    """Return the spread of a measure over seeds; None if a value is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Spread(statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None)


def flat_rows(runs: Iterable[ComparedRun]) -> list[dict[str, Any]]:
    """Return one flat dictionary per row of each run: its origin, its metrics, its costs."""
    return [
        {
            "run": str(run.folder),
            "row": key,
            "method": run.metrics.get("method"),
            "split": run.metrics["split"],
            "shot_thresholds": medium_range(run.metrics),
            "seed": run.metrics.get("seed"),
            "backbone_parameters": run.metrics.get("backbone_parameters"),
            **{column: row.get(column) for column in COLUMNS},
            **row_costs(run.folder, run.metrics, ResultRow.parse(key)),
        }
        for run in runs
        for key, row in run.metrics["rows"].items()
    ]


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Spread | None]:
    """Return the spread of each measure over the flat rows of several seeds; speed uses the seeds that have one."""
    values = {key: [row[key] for row in rows] for key in MEASURES}
    values["images_per_second"] = [value for value in values["images_per_second"] if value is not None]
    return {key: spread(found) for key, found in values.items()}


@dataclass(frozen=True)
class ComparedRow:
    """A row of a group of runs: its measures over the seeds that contain it."""

    row: ResultRow
    seeds: int
    measures: dict[str, Spread | None]


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ only in their seed; `names` are their folders without what all compared folders share."""

    names: list[str]
    rows: list[ComparedRow]
    results: frozenset[ResultRow]  # the rows that are the results of the runs


def seed_groups(runs: Sequence[ComparedRun]) -> Iterator[SeedGroup]:
    """Group runs that differ only in their seed, in order of appearance; a repeated seed starts another group."""
    groups: dict[tuple, dict[str, ComparedRun]] = {}
    times: Counter[tuple] = Counter()
    for name, run in zip(short_names([run.folder for run in runs]), runs, strict=True):
        seed = (*run.kind, run.metrics.get("seed"))
        groups.setdefault((*run.kind, times[seed]), {})[name] = run
        times[seed] += 1
    for members in groups.values():
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in flat_rows(members.values()):
            rows.setdefault(row["row"], []).append(row)
        compared = [ComparedRow(ResultRow.parse(key), len(found), over_seeds(found)) for key, found in rows.items()]
        results = frozenset(ResultRow.parse(run.metrics["result"]) for run in members.values())
        yield SeedGroup(list(members), compared, results)


def without_equal(groups: Sequence[SeedGroup]) -> tuple[list[ComparedRow], list[SeedGroup]]:
    """Return the rows with equal accuracies and calibration in all of several groups, and the groups without them.

    The results of the runs stay in their groups. Costs that differ are None.
    """
    if len(groups) < 2:
        return [], list(groups)
    found = [{row.row: row for row in group.rows if row.row not in group.results} for group in groups]
    equal = [_in_common([of.get(row) for of in found]) for row in found[0]]
    common = [row for row in equal if row is not None]
    rows = {row.row for row in common}
    return common, [replace(group, rows=[row for row in group.rows if row.row not in rows]) for group in groups]


def _in_common(rows: Sequence[ComparedRow | None]) -> ComparedRow | None:
    first, *others = rows
    assert first is not None
    if any(other is None or any(other.measures[key] != first.measures[key] for key in COLUMNS) for other in others):
        return None
    costs = {
        key: first.measures[key] for key in COSTS if all(o and o.measures[key] == first.measures[key] for o in others)
    }
    return replace(
        first, measures={**dict.fromkeys(MEASURES), **{key: first.measures[key] for key in COLUMNS}, **costs}
    )


def short_names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' names without what all of them begin with."""
    if len(folders) < 2:
        return [str(folder) for folder in folders]
    shared = os.path.commonpath([folder.absolute().parent for folder in folders])
    return [os.path.relpath(folder.absolute(), shared) for folder in folders]


def differences(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Yield a sentence for each of data, split and shot thresholds that differs, and what it makes incomparable."""
    for what, values in _values(runs).items():
        if len(values) > 1:
            concerned = "Many, medium and few are not comparable" if what == THRESHOLDS else "Not comparable"
            yield f"{concerned}: the runs have different {what} ({'; '.join(values)}{_images(runs, what)})."


def _images(runs: Sequence[ComparedRun], what: str) -> str:
    """Return how many evaluated images of different data are the same; empty if that is unknown."""
    if what != DATA or (found := comparable_answers([(run.folder, run.metrics) for run in runs])) is None:
        return ""
    answers, by_image = found
    return f"; {shared_images(answers)}" if by_image else ""


def shared_images(answers: Sequence[Answers]) -> str:
    """Return how many evaluated images are in all runs, and how many others each run has, in order."""
    shared, others = not_in_all(answers)
    if not any(others):
        return f"all {shared:,} evaluated images are the same"
    return f"{shared:,} evaluated images are in all runs, {' and '.join(f'{number:,}' for number in others)} are not"


def comparable_measures(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Return the accuracies that can be compared: those by shot need equal thresholds, all need equal data."""
    different = [what for what, values in _values(runs).items() if len(values) > 1]
    if different == [THRESHOLDS]:
        return tuple(key for key in ACCURACIES if key not in SHOTS)
    return () if different else tuple(ACCURACIES)


def _values(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    metrics = [run.metrics for run in runs]
    return {
        DATA: distinct(map(data_size, metrics)),
        "splits": distinct(found["split"] for found in metrics),
        THRESHOLDS: distinct(map(medium_range, metrics)),
    }


def describe_runs(runs: Sequence[ComparedRun]) -> str:
    """Return the split, shot thresholds and seeds of comparable runs."""
    if not runs:
        return "no runs"
    first, seeds = runs[0].metrics, distinct(run.metrics.get("seed", MISSING) for run in runs)
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"{first['split']} split; {describe_shots(first['shot_thresholds'])}; {word} {', '.join(seeds)}"


def data_size(metrics: Mapping[str, Any]) -> str:
    """Return the numbers of classes, training and evaluated images of a run: other numbers mean other data."""
    sizes = (metrics.get(key, MISSING) for key in ("classes", "training_images", "images"))
    return "{} classes, {} training and {} evaluated images".format(*sizes)


def medium_range(metrics: Mapping[str, Any]) -> str:
    """Return the training images of medium-shot classes, such as 20-100."""
    return "-".join(str(threshold) for threshold in metrics["shot_thresholds"])


def distinct(values: Iterable[object]) -> list[str]:
    """Return the distinct values as text, in order of appearance."""
    return list(dict.fromkeys(str(value) for value in values))
