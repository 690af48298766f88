"""Several runs side by side: those that differ in their seed alone as mean ± standard deviation."""

import json
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from lptpp.config import saved_settings, to_dictionary
from lptpp.data.statistics import describe_borders
from lptpp.evaluation.costs import COSTS, row_costs
from lptpp.evaluation.tables import ACCURACIES, COLUMNS, MISSING, add_metric_columns, best_cells, one_decimal
from lptpp.run_files import read_metrics

MEASURES = (*COLUMNS, *COSTS)


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, its metrics.json, its settings without seed and folder."""

    folder: Path
    metrics: Mapping[str, Any]
    settings: str

    @property
    def kind(self) -> tuple[str, ...]:
        """What runs that differ in their seed alone have in common: settings, and what they were evaluated on."""
        return self.settings, self.metrics["split"], border_range(self.metrics), data_size(self.metrics)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Return the run in a folder.

        Raises `UserError` where its metrics are missing or damaged.
        """
        metrics, config = read_metrics(folder), folder / "config.yaml"
        if not config.is_file():
            return cls(folder, metrics, str(folder))
        settings = to_dictionary(saved_settings(config)) | {"seed": None, "run": None}
        return cls(folder, metrics, json.dumps(settings, sort_keys=True))


@dataclass(frozen=True)
class Spread:
    """Mean of a measure over seeds, and its standard deviation where there is more than one."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """As people write it, with one decimal."""
        return one_decimal(self.mean) + ("" if self.deviation is None else f" ± {self.deviation:.1f}")


def spread(values: Sequence[float | None]) -> Spread | None:
    """Return the spread of one measure over seeds; None where a seed lacks it."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Spread(statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None)


def flat_rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return one flat dict for each row of each run: where it comes from, what it scores, what it cost."""
    return [
        {
            "run": str(run.folder),
            "row": name,
            "method": run.metrics.get("method"),
            "split": run.metrics["split"],
            "borders": border_range(run.metrics),
            "seed": run.metrics.get("seed"),
            "backbone_parameters": run.metrics.get("backbone_parameters"),
            **{key: row.get(key) for key in COLUMNS},
            **row_costs(run.folder, run.metrics, name),
        }
        for run in runs
        for name, row in run.metrics["rows"].items()
    ]


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Spread | None]:
    """Return the spread of each measure over the flat rows of several seeds; a speed is of those that have one."""
    values = {key: [row[key] for row in rows] for key in MEASURES}
    values["images_a_second"] = [value for value in values["images_a_second"] if value is not None]
    return {key: spread(found) for key, found in values.items()}


def comparison_table(runs: Sequence[Run]) -> Table:
    """Return a table with a section for each run, or for the seeds of one.

    The caption tells split, borders and seeds; or that the runs cannot be compared, and then nothing is bold.
    """
    differences = list(differing(runs))
    table = Table(title="Comparison of runs", caption=Text(" ".join(differences) or describe_runs(runs)))
    table.add_column("Row", min_width=14, overflow="fold")
    add_metric_columns(table)
    sections = list(_sections(runs))
    every = [row for _, rows in sections for row in rows.values()]
    costs = [key for key in COSTS if any(row[key] for row in every)]  # one that no run tells is no column
    for key in costs:
        table.add_column(COSTS[key], justify="right")
    best = {} if differences else best_cells([{key: one and one.mean for key, one in row.items()} for row in every])
    for name, rows in sections:
        table.add_section()
        table.add_row(Text(name, style="italic"))
        for title, measures in rows.items():
            table.add_row(Text(title), *cells({key: measures[key] for key in (*COLUMNS, *costs)}, best))
    return table


def cells(measures: Mapping[str, Spread | None], best: Mapping[str, str]) -> Iterator[Text]:
    """Yield the printed measures of a row: accuracies with one decimal, the best bold; costs as whole numbers."""
    for key, one in measures.items():
        if one is None:
            yield Text(MISSING)
        elif key in COSTS:
            yield Text(f"{one.mean:,.0f}")
        else:
            bold = key in ACCURACIES and one_decimal(one.mean) == best.get(key)
            yield Text(str(one), style="bold" if bold else "")


def _sections(runs: Sequence[Run]) -> Iterator[tuple[str, dict[str, dict[str, Spread | None]]]]:
    """Yield (name, row -> measures) of each group of runs that differ in the seed alone, in order of appearance."""
    groups: dict[tuple, dict[str, Run]] = {}
    times: Counter[tuple] = Counter()  # a seed that is there twice is no second seed: it begins a group of its own
    for name, run in zip(_short([run.folder for run in runs]), runs, strict=True):
        seed = (*run.kind, run.metrics.get("seed"))
        groups.setdefault((*run.kind, times[seed]), {})[name] = run
        times[seed] += 1
    for members in groups.values():
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in flat_rows(members.values()):
            rows.setdefault(row["row"], []).append(row)
        name = ", ".join(members) + told_seeds(len(members), 1)
        yield name, {title + told_seeds(len(found), len(members)): over_seeds(found) for title, found in rows.items()}


def told_seeds(count: int, usual: int) -> str:
    """Return how many seeds there are, where they are not as many as usual."""
    return "" if count == usual else f" ({count} {'seed' if count == 1 else 'seeds'})"


def _short(folders: Sequence[Path]) -> list[str]:
    """Return the folders' names without what all of them begin with."""
    if len(folders) < 2:
        return [str(folder) for folder in folders]
    shared = os.path.commonpath([folder.absolute().parent for folder in folders])
    return [os.path.relpath(folder.absolute(), shared) for folder in folders]


def differing(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a sentence for each of data, split and borders in which the runs differ: they are not comparable."""
    metrics = [run.metrics for run in runs]
    splits = distinct(content["split"] for content in metrics)
    borders = distinct(map(border_range, metrics))
    data = distinct(map(data_size, metrics))
    for what, values in (("data", data), ("splits", splits), ("shot borders", borders)):
        if len(values) > 1:
            yield f"Not comparable: the runs have different {what} ({', '.join(values)})."


def describe_runs(runs: Sequence[Run]) -> str:
    """Return the split, borders and seeds of runs that agree in the first two."""
    if not runs:
        return "no runs"
    first, seeds = runs[0].metrics, distinct(run.metrics.get("seed", MISSING) for run in runs)
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"{first['split']} split; {describe_borders(tuple(first['borders']))}; {word} {', '.join(seeds)}"


def data_size(content: Mapping[str, Any]) -> str:
    """Return how many classes, training images and evaluated images a run has seen: other numbers are other data."""
    sizes = (content.get(key, MISSING) for key in ("classes", "training_images", "images"))
    return "{} classes, {} training and {} evaluated images".format(*sizes)


def border_range(content: Mapping[str, Any]) -> str:
    """Return the training images of medium-shot classes, as in 20-100."""
    return "-".join(str(border) for border in content["borders"])


def distinct(values: Iterable[object]) -> list[str]:
    """Return the different values as text, in their order."""
    return list(dict.fromkeys(str(value) for value in values))
