"""LPT++ against what people use now, through one training loop: train every row of the table, print it, write JSON.

    python benchmarks/accuracy.py cifar100_lt --root FOLDER      (train/ and test/ with a folder for each class)
    python benchmarks/accuracy.py emoji --fits lptpp lift        (only some of the runs; the others as they stand)

A run that is there already is not trained again, one that was cut off goes on: give the same command once more. What
is trained, and which rows are shown, stands in accuracy.yaml. Hours on two cores.
"""

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from inference import images_a_second
from lptpp.config import Settings, load_settings
from lptpp.training.fit import fit
from machine import stamp

PLAN = Path(__file__).with_name("accuracy.yaml")
MEASURES = ("overall", "many", "medium", "few", "mean_class", "calibration_error")
SPEEDS = "images_a_second.json"
FREE = {"zero-shot": "nothing", "class means": "nothing", "linear probe": "classifier"}  # rows without a phase


@dataclass(frozen=True)
class Plan:
    """The runs and the rows of one data set's table."""

    name: str
    config: str
    common: list[str]
    fits: dict[str, dict[str, Any]]
    rows: dict[str, list[str]]

    def settings(self, fit: str, seed: int, out: Path, root: str | None) -> Settings:
        """Return the settings of one run."""
        place = [f"data.root={root}"] if root else []
        last = [f"seed={seed}", f"run={folder(out, self.name, fit, seed)}"]
        return load_settings(self.config, [*self.common, *place, *self.fits[fit]["settings"], *last])


def folder(out: Path, data: str, fit: str, seed: int) -> Path:
    """Return where a run lies."""
    return out / data / f"{fit}-{seed}"


def train(plan: Plan, chosen: list[str], seeds: int | None, out: Path, root: str | None) -> None:
    """Train what is not trained yet, first seeds first."""
    most = max(plan.fits[name]["seeds"] for name in chosen)
    for seed in range(most if seeds is None else seeds):
        for name in chosen:
            if seed < plan.fits[name]["seeds"]:
                print(f"{name}, seed {seed}", file=sys.stderr)
                fit(plan.settings(name, seed, out, root))


def table_rows(plan: Plan, out: Path) -> Iterator[dict[str, Any]]:
    """Yield each row of the table whose runs are finished: means, and deviations over the seeds."""
    for title, (name, row) in plan.rows.items():
        runs = [folder(out, plan.name, name, seed) for seed in range(plan.fits[name]["seeds"])]
        found = [one for run in runs if (one := measured(run, row)) is not None]
        if found:
            yield {"row": title, "seeds": len(found)} | over_seeds(found)


def over_seeds(found: list[dict[str, float | None]]) -> dict[str, dict[str, float | None] | None]:
    """Return mean and standard deviation of each measure over the seeds; None where a seed lacks it."""
    columns = {key: [one[key] for one in found if one[key] is not None] for key in found[0]}
    return {
        key: {"mean": statistics.mean(values), "sd": statistics.stdev(values) if len(values) > 1 else None}
        if len(values) == len(found) or (key == "images_a_second" and values)
        else None
        for key, values in columns.items()
    }


def measured(run: Path, row: str) -> dict[str, float | None] | None:
    """Return what one finished run says of a row."""
    path = run / "metrics.json"
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text(encoding="utf-8"))
    if row not in metrics["rows"]:
        return None
    costs = {"tuned_parameters": tuned(metrics, row), "training_cpu_seconds": trained_for(run, row)}
    speeds = run / SPEEDS
    costs["images_a_second"] = json.loads(speeds.read_text(encoding="utf-8")).get(row) if speeds.is_file() else None
    return {key: metrics["rows"][row][key] for key in MEASURES} | costs


def tuned(metrics: dict[str, Any], row: str) -> int:
    """Return the number of parameters that were tuned for a row."""
    kind, expert = [*row.split(", "), ""][:2]
    parts = metrics["tuned_parts"]
    if kind in FREE:
        return 0 if FREE[kind] == "nothing" else parts[expert]["classifier"]
    if expert == "phase 1":
        return sum(count for part, count in parts[kind].items() if part != "group prompts")
    if expert == "phase 2":
        return sum(parts[kind].values())
    return sum(sum(one.values()) for name, one in parts.items() if name != "scorer" or row == metrics["answer"])


def trained_for(run: Path, row: str) -> float | None:
    """Return the processor seconds of the phases behind a row; the baselines' are not recorded."""
    kind, phase = [*row.split(", "), ""][:2]
    if kind in FREE:
        return None
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        history = [(line["stage"], float(line["cpu_seconds"])) for line in csv.DictReader(file)]
    if phase == "phase 1":
        return sum(seconds for stage, seconds in history if stage == f"{kind}/phase1")
    if phase == "phase 2":
        return sum(seconds for stage, seconds in history if stage.startswith(f"{kind}/"))
    return sum(seconds for stage, seconds in history if stage != "mixture/phase3" or row == "LPT++")


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    columns = [key for key in rows[0] if key not in ("row", "seeds")]
    table = Table("", "Seeds", *(key.replace("_", " ") for key in columns))
    for row in rows:
        table.add_row(row["row"], str(row["seeds"]), *(cell(row.get(key), key) for key in columns))
    console.print(table)


def cell(value: dict[str, float | None] | None, key: str) -> str:
    """Return a mean, with its deviation where there are seeds."""
    if value is None:
        return "–"
    digits = 0 if key in ("tuned_parameters", "training_cpu_seconds", "images_a_second") else 1
    deviation = f" ± {value['sd']:.{digits}f}" if value["sd"] is not None and key != "tuned_parameters" else ""
    return f"{value['mean']:,.{digits}f}{deviation}"


def time_inference(plan: Plan, out: Path) -> None:
    """Measure how many images a second the first seed of every run judges, row by row, side by side; write it there."""
    runs = {name: folder(out, plan.name, name, 0) for name in plan.fits}
    asked = {(name, row): runs[name] for name, row in plan.rows.values() if (runs[name] / "metrics.json").is_file()}
    for name, speeds in images_a_second(asked).items():
        (runs[name] / SPEEDS).write_text(json.dumps(speeds, indent=1), encoding="utf-8")


def main() -> None:
    """Train, measure, print, write."""
    arguments = parser().parse_args()
    content = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    plan = Plan(arguments.data, **content[arguments.data])
    if not arguments.table_only:
        train(plan, arguments.fits or list(plan.fits), arguments.seeds, arguments.out, arguments.root)
    if arguments.time:
        time_inference(plan, arguments.out)
    rows = list(table_rows(plan, arguments.out))
    if not rows:
        sys.exit("No run is finished yet: leave --table-only out.")
    show(rows, Console(width=None if sys.stdout.isatty() else 200))
    result = {"command": " ".join(sys.argv), "data": plan.name, **stamp(torch.device("cpu")), "rows": rows}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"The table is in {arguments.json}")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    content = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    made.add_argument("data", choices=list(content), help="the data set, as accuracy.yaml names it")
    made.add_argument("--root", help="folder of the pictures, where the data set needs one")
    made.add_argument("--fits", nargs="+", help="train only these runs")
    made.add_argument("--seeds", type=int, help="train at most this many seeds of each run")
    made.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="where the run folders lie")
    made.add_argument("--json", type=Path, default=Path("runs/accuracy.json"), help="the table for programs")
    made.add_argument(
        "--time", action="store_true", help="measure images a second too: on a machine with nothing else to do"
    )
    made.add_argument("--table-only", action="store_true", help="train nothing, show what is there")
    return made


if __name__ == "__main__":
    main()
