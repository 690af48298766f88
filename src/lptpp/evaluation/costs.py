"""What a row of the shot table cost: trainable parameters, training time, inference speed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lptpp.evaluation.table import BASELINES, CONTROLS, JOINT, MIXTURE, ResultRow
from lptpp.utils.io import read_csv

SPEEDS = "images_per_second.json"  # images per second by row, if measured (python -m benchmarks.accuracy --time)
PHASE2 = ("phase2", *CONTROLS)
COSTS = {"tuned_parameters": "Trainable", "training_cpu_seconds": "CPU seconds", "images_per_second": "Images/s"}
LEGEND = {
    "tuned_parameters": "trainable parameters",
    "training_cpu_seconds": "CPU time of training",
    "images_per_second": "images predicted per second",
}


def row_costs(folder: Path, metrics: Mapping[str, Any], row: ResultRow) -> dict[str, float | None]:
    """Return the `COSTS` of a row of a run; None for what was not recorded."""
    speeds = folder / SPEEDS
    known = json.loads(speeds.read_text(encoding="utf-8")) if speeds.is_file() else {}
    return {
        "tuned_parameters": trainable(metrics["tuned_parts"], row),
        "training_cpu_seconds": training_seconds(folder / "history.csv", row),
        "images_per_second": known.get(str(row)),
    }


def trainable(parts: Mapping[str, Mapping[str, int]], row: ResultRow) -> int:
    """Return the trainable parameters of a row, given those of a run by owner (experts, scorer) and part."""
    if row.kind in JOINT:
        return sum(of.get("classifier", 0) for of in parts.values())
    if row.kind in BASELINES:
        return parts[row.expert]["classifier"] if row.kind.endswith("_probe") else 0
    if row.kind in ("phase1", "phase2_none"):
        return sum(count for part, count in parts[row.expert].items() if part != "group prompts")
    if row.kind in PHASE2:
        return sum(parts[row.expert].values())
    owners = [owner for owner in parts if owner != "scorer" or row.plain == MIXTURE]
    return sum(sum(parts[owner].values()) for owner in owners)


def training_seconds(history: Path, row: ResultRow) -> float | None:
    """Return the CPU seconds of the stages a row depends on; None if unknown, as for the baselines."""
    if row.kind in (*BASELINES, *JOINT) or not history.is_file():
        return None
    seconds = [line.get("cpu_seconds") or None for line in read_csv(history) if _depends(row, line["stage"])]
    return None if None in seconds else sum(map(float, seconds))  # type: ignore[arg-type]


def _depends(row: ResultRow, stage: str) -> bool:
    if row.expert:
        return stage in [f"{row.expert}/{phase}" for phase in ("phase1", "phase2")[: 1 + (row.kind in PHASE2)]]
    return stage != "mixture/phase3" or row.plain == MIXTURE
