"""Ablation of LPT++: one part changed at a time, evaluated on a validation split of the training set.

    python -m benchmarks.accuracy.ablation grocery_lt --root FOLDER     (train/, val/ and test/ with a folder per class)

Variants of phase 1 are separate runs; those of phase 2 start from the same phase-1 model; those of phase 3 use the same
expert outputs. ablation.yaml lists the variants. Finished runs are not trained again. The control rows below a variant
of phase 2 replace the groups of each image: phase 2 is credited with what own groups gain over none.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.branch import branch
from benchmarks.accuracy.scorers import read_class_loss, scorer_rows
from benchmarks.accuracy.stems import remembered_maps
from benchmarks.machine import stamp
from lptpp.config import Settings, load_settings
from lptpp.evaluation.table import COLUMNS as MEASURES
from lptpp.evaluation.table import CONTROLS, MISSING, ResultRow
from lptpp.training.fit import fit

PLANS = Path(__file__).with_name("ablation.yaml")
COLUMNS = (*MEASURES, "class_loss")


class Ablation:
    """The variants of one data set and their run folders."""

    def __init__(self, plan: dict[str, Any], out: Path, root: str | None) -> None:
        self.plan, self.out = plan, out
        self.common = [*plan["common"], *([f"data.root={root}"] if root else [])]

    def settings(self, name: str, overrides: list[str]) -> Settings:
        """Return the settings of a variant."""
        return load_settings(self.plan["config"], [*self.common, *overrides, f"run={self.out / name}"])

    def phase1(self) -> Iterator[dict[str, Any]]:
        """Train the variants of phase 1."""
        for title, overrides in self.plan["phase1"].items():
            settings = self.settings(f"phase1-{slug(title)}", [*self.plan["one_expert"], *NO_GROUPS, *overrides])
            yield from self._rows("phase 1", title, settings)

    def phase2(self) -> Iterator[dict[str, Any]]:
        """Train the variants of phase 2 on the phase-1 model of the first variant above."""
        base = self.out / f"phase1-{slug(next(iter(self.plan['phase1'])))}"
        for title, overrides in self.plan["phase2"].items():
            common = [*self.plan["one_expert"], *self.plan["phase2_common"]]
            settings = self.settings(f"phase2-{slug(title)}", [*common, *overrides])
            branch(base, settings)
            yield from self._rows("phase 2", title, settings)

    def phase3(self) -> Iterator[dict[str, Any]]:
        """Train two experts, then scorers on their outputs."""
        settings = self.settings("mixture", [])
        fit(settings)
        for row in scorer_rows(Path(settings.run), self.plan["phase3"]["learning_rates"]):
            yield {"phase": "phase 3", **row}

    def _rows(self, phase: str, title: str, settings: Settings) -> Iterator[dict[str, Any]]:
        """Train a run with one expert; yield the metrics and the use of groups of its last phase, then control rows."""
        metrics = fit(settings).metrics
        loss = read_class_loss(Path(settings.run) / "predictions.csv")
        result = _measures(metrics["rows"][metrics["result"]]) | {"class_loss": loss}
        yield {"phase": phase, "row": title, **result, "groups": metrics["groups"]}
        for key, found in metrics["rows"].items():
            if (control := CONTROLS.get(ResultRow.parse(key).kind)) is not None:
                yield {"phase": phase, "row": f"{title}, {control}", **_measures(found), "class_loss": None}


def _measures(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in MEASURES}


NO_GROUPS = ["experts.visual.group_prompts=0"]


def slug(title: str) -> str:
    """Return a folder name for a title."""
    return "".join(letter if letter.isalnum() else "_" for letter in title)


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table("Phase", "Variant", *(key.replace("_", " ") for key in COLUMNS))
    for row in rows:
        shown = (MISSING if row[key] is None else f"{row[key]:.{3 if key == 'class_loss' else 1}f}" for key in COLUMNS)
        table.add_row(row["phase"], row["row"], *shown)
    console.print(table)


def main() -> None:
    """Train, print the table, write it as JSON."""
    arguments = parser().parse_args()
    plan = yaml.safe_load(PLANS.read_text(encoding="utf-8"))[arguments.data]
    ablation = Ablation(plan, arguments.out / arguments.data, arguments.root)
    rows: list[dict[str, Any]] = []
    with remembered_maps():
        for phase in arguments.phases or [one for one in (1, 2, 3) if f"phase{one}" in plan]:
            for row in getattr(ablation, f"phase{phase}")():
                rows.append(row)
                print(f"{row['phase']}, {row['row']}: {row['overall']:.1f}", file=sys.stderr)
    show(rows, Console(width=None if sys.stdout.isatty() else 200))
    result = {"command": " ".join(sys.argv), **stamp(torch.device("cpu")), "rows": rows}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"The table is in {arguments.json}")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    content = yaml.safe_load(PLANS.read_text(encoding="utf-8"))
    made.add_argument("data", choices=list(content), help="a data set of ablation.yaml")
    made.add_argument("--root", help="folder of the images, if the data set needs one")
    made.add_argument("--phases", nargs="+", type=int, choices=(1, 2, 3), help="by default all of the data set")
    made.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder of the run folders")
    made.add_argument("--json", type=Path, default=Path("runs/ablation.json"), help="the table as JSON")
    return made


if __name__ == "__main__":
    main()
