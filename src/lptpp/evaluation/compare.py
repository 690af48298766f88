"""Several runs side by side: those that differ in their seed alone as mean ± standard deviation."""

import csv
import json
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.config import saved_settings, to_dictionary
from lptpp.data.statistics import describe_shots
from lptpp.evaluation.files import read_metrics
from lptpp.evaluation.table import COLUMNS, MISSING, one_decimal

SPEEDS = "images_a_second.json"  # row -> images a second, where somebody measured it (benchmarks/accuracy.py --time)
COSTS = {"tuned_parameters": "Tuned", "training_cpu_seconds": "CPU seconds", "images_a_second": "Images/s"}
FREE = {"zero-shot": "nothing", "class means": "nothing", "linear probe": "classifier"}  # rows without a phase


def row_costs(folder: Path, metrics: Mapping[str, Any], row: str) -> dict[str, float | None]:
    """Return the `COSTS` of one row of a run; None for what was not recorded."""
    speeds = folder / SPEEDS
    known = json.loads(speeds.read_text(encoding="utf-8")) if speeds.is_file() else {}
    return {
        "tuned_parameters": tuned(metrics, row),
        "training_cpu_seconds": trained_for(folder / "history.csv", row, metrics["result"]),
        "images_a_second": known.get(row),
    }


def tuned(metrics: Mapping[str, Any], row: str) -> int:
    """Return the number of parameters that were tuned for a row."""
    kind, expert = [*row.split(", "), ""][:2]
    parts = metrics["tuned_parts"]
    if kind in FREE:
        return 0 if FREE[kind] == "nothing" else parts[expert]["classifier"]
    if expert == "phase 1":
        return sum(count for part, count in parts[kind].items() if part != "group prompts")
    if expert == "phase 2":
        return sum(parts[kind].values())
    scored = is_result(row, metrics["result"])
    return sum(sum(one.values()) for name, one in parts.items() if name != "scorer" or scored)


def is_result(row: str, result: str) -> bool:
    """Say whether a row is the answer, as it is or with views, a prior or a temperature (`LPT++, flip`)."""
    return row == result or row.startswith(f"{result}, ")


def trained_for(history: Path, row: str, result: str) -> float | None:
    """Return the processor seconds of the phases behind a row; the baselines' are not recorded."""
    kind, phase = [*row.split(", "), ""][:2]
    if kind in FREE or not history.is_file():
        return None
    with history.open(encoding="utf-8", newline="") as file:
        stages = [(line["stage"], line.get("cpu_seconds") or None) for line in csv.DictReader(file)]
    needed, scored = {"phase 1": f"{kind}/phase1", "phase 2": f"{kind}/"}.get(phase, ""), is_result(row, result)
    seconds = [
        message for stage, message in stages if stage.startswith(needed) and (stage != "mixture/phase3" or scored)
    ]
    return None if None in seconds else sum(map(float, seconds))  # type: ignore[arg-type]


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
        return self.settings, self.metrics["split"], medium_range(self.metrics), data_size(self.metrics)

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
            "shot_thresholds": medium_range(run.metrics),
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


def sections(runs: Sequence[Run]) -> Iterator[tuple[str, dict[str, dict[str, Spread | None]]]]:
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
    shot_thresholds = distinct(map(medium_range, metrics))
    data = distinct(map(data_size, metrics))
    for what, values in (("data", data), ("splits", splits), ("shot borders", shot_thresholds)):
        if len(values) > 1:
            yield f"Not comparable: the runs have different {what} ({', '.join(values)})."


def describe_runs(runs: Sequence[Run]) -> str:
    """Return the split, borders and seeds of runs that agree in the first two."""
    if not runs:
        return "no runs"
    first, seeds = runs[0].metrics, distinct(run.metrics.get("seed", MISSING) for run in runs)
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"{first['split']} split; {describe_shots(tuple(first['shot_thresholds']))}; {word} {', '.join(seeds)}"


def data_size(content: Mapping[str, Any]) -> str:
    """Return how many classes, training images and evaluated images a run has seen: other numbers are other data."""
    sizes = (content.get(key, MISSING) for key in ("classes", "training_images", "images"))
    return "{} classes, {} training and {} evaluated images".format(*sizes)


def medium_range(content: Mapping[str, Any]) -> str:
    """Return the training images of medium-shot classes, as in 20-100."""
    return "-".join(str(border) for border in content["shot_thresholds"])


def distinct(values: Iterable[object]) -> list[str]:
    """Return the different values as text, in their order."""
    return list(dict.fromkeys(str(value) for value in values))
