"""LPT++ and baselines in one training loop: train the rows of the table, print it, write JSON.

    python -m benchmarks.accuracy cifar100_lt --root FOLDER      (train/ and test/ with a folder per class)
    python -m benchmarks.accuracy emoji --fits lptpp lift        (only some of the runs)

Finished runs are not trained again, and interrupted ones resume: repeat the command. accuracy.yaml lists the runs and
the rows. Takes hours on two cores.
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

from benchmarks.accuracy.inference import images_per_second
from benchmarks.accuracy.stems import remembered_maps
from benchmarks.machine import stamp
from lptpp.config import Settings, load_settings
from lptpp.console.tables import measure_cells
from lptpp.evaluation.compare import MEASURES, ComparedRun, Spread, flat_rows, over_seeds
from lptpp.evaluation.costs import COSTS, SPEEDS
from lptpp.evaluation.table import COLUMNS
from lptpp.training.fit import fit
from lptpp.utils.io import write_json

PLANS = Path(__file__).with_name("accuracy.yaml")


@dataclass(frozen=True)
class AccuracyPlan:
    """The runs and rows of the table of one data set."""

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
    """Return the run folder of a seed."""
    return out / data / f"{fit}-{seed}"


def train(plan: AccuracyPlan, names: list[str], seeds: int | None, out: Path, root: str | None) -> None:
    """Train the unfinished runs, seed by seed."""
    most = max(plan.fits[name]["seeds"] for name in names)
    for seed in range(most if seeds is None else seeds):
        for name in names:
            if seed < plan.fits[name]["seeds"]:
                print(f"{name}, seed {seed}", file=sys.stderr)
                fit(plan.settings(name, seed, out, root))


def table_rows(plan: AccuracyPlan, out: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows with finished runs, as spreads over the seeds."""
    for title, (name, row) in plan.rows.items():
        folders = [folder(out, plan.name, name, seed) for seed in range(plan.fits[name]["seeds"])]
        runs = [ComparedRun.read(run) for run in folders if (run / "metrics.json").is_file()]
        found = [one for one in flat_rows(runs) if one["row"] == row]
        if found:
            yield {"row": title, "seeds": len(found), **over_seeds(found)}


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table("", "Seeds", *COLUMNS.values(), *COSTS.values())
    for row in rows:
        table.add_row(row["row"], str(row["seeds"]), *measure_cells({key: row[key] for key in MEASURES}, {}))
    console.print(table)


def time_inference(plan: AccuracyPlan, out: Path) -> None:
    """Measure the images per second of every row, on the first seed of its run; write them to the run folder."""
    runs = {name: folder(out, plan.name, name, 0) for name in plan.fits}
    selected = {(name, row): runs[name] for name, row in plan.rows.values() if (runs[name] / "metrics.json").is_file()}
    for name, speeds in images_per_second(selected).items():
        (runs[name] / SPEEDS).write_text(json.dumps(speeds, indent=1), encoding="utf-8")


def main() -> None:
    """Train, measure, print, write."""
    arguments = parser().parse_args()
    content = yaml.safe_load(PLANS.read_text(encoding="utf-8"))
    plan = AccuracyPlan(arguments.data, **content[arguments.data])
    if not arguments.table_only:
        with remembered_maps():
            train(plan, arguments.fits or list(plan.fits), arguments.seeds, arguments.out, arguments.root)
    if arguments.time:
        time_inference(plan, arguments.out)
    rows = list(table_rows(plan, arguments.out))
    if not rows:
        sys.exit("There are no finished runs; omit --table-only.")
    show(rows, Console(width=None if sys.stdout.isatty() else 200))
    plain = [{key: asdict(one) if isinstance(one, Spread) else one for key, one in row.items()} for row in rows]
    result = {"command": " ".join(sys.argv), "data": plan.name, **stamp(torch.device("cpu")), "rows": plain}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(arguments.json, result)
    print(f"The table is in {arguments.json}")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    content = yaml.safe_load(PLANS.read_text(encoding="utf-8"))
    made.add_argument("data", choices=list(content), help="a data set of accuracy.yaml")
    made.add_argument("--root", help="folder of the images, if the data set needs one")
    made.add_argument("--fits", nargs="+", help="train only these runs")
    made.add_argument("--seeds", type=int, help="train at most this many seeds of each run")
    made.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="folder of the run folders")
    made.add_argument("--json", type=Path, default=Path("runs/accuracy.json"), help="the table as JSON")
    made.add_argument("--time", action="store_true", help="also measure images per second; requires an idle machine")
    made.add_argument("--table-only", action="store_true", help="do not train, show finished runs")
    return made


if __name__ == "__main__":
    main()
