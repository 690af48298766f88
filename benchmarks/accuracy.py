"""LPT++ against what people use now, through one training loop: train every row of the table, print it, write JSON.

    python benchmarks/accuracy.py cifar100_lt --root FOLDER      (train/ and test/ with a folder for each class)
    python benchmarks/accuracy.py emoji --fits lptpp lift        (only some of the runs; the others as they stand)

A run that is there already is not trained again, one that was cut off goes on: give the same command once more. What
is trained, and which rows are shown, stands in accuracy.yaml. Hours on two cores.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from inference import images_a_second
from lptpp.config import Settings, load_settings
from lptpp.console.comparison import cells
from lptpp.evaluation.compare import COSTS, MEASURES, SPEEDS, Run, Spread, flat_rows, over_seeds
from lptpp.evaluation.table import COLUMNS
from lptpp.training.fit import fit
from lptpp.utils.io import write_json
from machine import stamp

PLAN = Path(__file__).with_name("accuracy.yaml")


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
    """Yield each row of the table whose runs are finished, as spreads over the seeds."""
    for title, (name, row) in plan.rows.items():
        folders = [folder(out, plan.name, name, seed) for seed in range(plan.fits[name]["seeds"])]
        runs = [Run.read(run) for run in folders if (run / "metrics.json").is_file()]
        found = [one for one in flat_rows(runs) if one["row"] == row]
        if found:
            yield {"row": title, "seeds": len(found), **over_seeds(found)}


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table("", "Seeds", *COLUMNS.values(), *COSTS.values())
    for row in rows:
        table.add_row(row["row"], str(row["seeds"]), *cells({key: row[key] for key in MEASURES}, {}))
    console.print(table)


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
    plain = [{key: asdict(one) if isinstance(one, Spread) else one for key, one in row.items()} for row in rows]
    result = {"command": " ".join(sys.argv), "data": plan.name, **stamp(torch.device("cpu")), "rows": plain}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(arguments.json, result)
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
