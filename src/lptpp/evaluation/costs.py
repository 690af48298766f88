"""What a row of a run's table cost: tuned parameters, processor time of training, speed at inference."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPEEDS = "images_a_second.json"  # row -> images a second, where somebody measured it (benchmarks/accuracy.py --time)
COSTS = {"tuned_parameters": "Tuned", "training_cpu_seconds": "CPU seconds", "images_a_second": "Images/s"}
FREE = {"zero-shot": "nothing", "class means": "nothing", "linear probe": "classifier"}  # rows without a phase


def row_costs(folder: Path, metrics: Mapping[str, Any], row: str) -> dict[str, float | None]:
    """Return the `COSTS` of one row of a run; None for what was not recorded."""
    speeds = folder / SPEEDS
    known = json.loads(speeds.read_text(encoding="utf-8")) if speeds.is_file() else {}
    return {
        "tuned_parameters": tuned(metrics, row),
        "training_cpu_seconds": trained_for(folder / "history.csv", row, metrics["answer"]),
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
    scored = is_answer(row, metrics["answer"])
    return sum(sum(one.values()) for name, one in parts.items() if name != "scorer" or scored)


def is_answer(row: str, answer: str) -> bool:
    """Say whether a row is the answer, as it is or with views, a prior or a temperature (`LPT++, flip`)."""
    return row == answer or row.startswith(f"{answer}, ")


def trained_for(history: Path, row: str, answer: str) -> float | None:
    """Return the processor seconds of the phases behind a row; the baselines' are not recorded."""
    kind, phase = [*row.split(", "), ""][:2]
    if kind in FREE or not history.is_file():
        return None
    with history.open(encoding="utf-8", newline="") as file:
        stages = [(line["stage"], line.get("cpu_seconds") or None) for line in csv.DictReader(file)]
    needed, scored = {"phase 1": f"{kind}/phase1", "phase 2": f"{kind}/"}.get(phase, ""), is_answer(row, answer)
    seconds = [told for stage, told in stages if stage.startswith(needed) and (stage != "mixture/phase3" or scored)]
    return None if None in seconds else sum(map(float, seconds))  # type: ignore[arg-type]
