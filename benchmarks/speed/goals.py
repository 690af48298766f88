"""The goals of the speed benchmark, the findings, and the tables that are printed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import stamp_line


@dataclass(frozen=True)
class Goal:
    """A bound on a measurement."""

    what: str
    bound: float
    at_most: bool  # else at least
    unit: str = "×"

    @property
    def text(self) -> str:
        """The bound as text."""
        unit = self.unit if self.unit == "%" else f" {self.unit}"
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}{unit}"

    def reached(self, value: float) -> bool:
        """Return whether a value satisfies the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


GOALS = {
    "floor": Goal("inference with group prompts, time relative to the floor", 1.58, True),
    "inference": Goal("inference, against the published form at the same precision", 1.4, False),
    "phase2 same": Goal("phase-2 step, against the published form at the same precision", 1.4, False),
    "phase2 default": Goal("phase-2 step at the default precision, against the published form (float32)", 3, False),
    "memory same": Goal("phase-2 peak memory, against the published form at the same precision", 0.6, True),
    "memory default": Goal("phase-2 peak memory at the default precision, against the published (float32)", 0.6, True),
    "loop": Goal("training loop with images and augmentation, speed relative to bare steps on tensors", 0.9, False),
    "photos": Goal("an epoch of views of 12-megapixel photos after the first, time relative to small images", 1, True),
    "phase3": Goal("phase 3, share of the training time", 5, True, "%"),
    "demo": Goal("make demo after installation", 3, True, "min"),
    "gpu inference": Goal("ViT-B/16 bf16 inference, share of the card's measured bf16 matmul rate", 50, False, "%"),
    "gpu training": Goal("ViT-B/16 bf16 phase-2 step, share of the card's measured bf16 matmul rate", 40, False, "%"),
    "sampler memory": Goal("sampler state for 10 million images, 8,142 classes", 200, True, "MB"),
    "sampler start": Goal("time to start an epoch of 10 million images", 2, True, "s"),
    "sampler draws": Goal("draws per second", 1, False, "million"),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """The measurement for a goal; without values if it was not measured, and `note` says why."""

    goal: str  # a key of GOALS
    on: str  # the workload
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        """Reached if every value satisfies the bound."""
        if not self.values:
            return "–"
        return "reached" if all(map(GOALS[self.goal].reached, self.values.values())) else "missed"

    @property
    def measured(self) -> str:
        """The values as text."""
        values = [f"{number(value)} {label}".strip() for label, value in self.values.items()]
        return ", ".join([*values, self.note] if self.note else values)

    def plain(self) -> dict[str, Any]:
        """Return everything for JSON."""
        goal = GOALS[self.goal]
        texts = {"what": goal.what, "bound": goal.text, "measured": self.measured, "verdict": self.verdict}
        return {**asdict(self), **texts}


def number(value: float) -> str:
    """Return a number with three significant digits, or as an integer from 100."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


STYLES = {"reached": "green", "missed": "red", "–": "dim"}


def show(report: dict[str, Any], console: Console) -> None:
    """Print the goals with the measurements, and every case."""
    console.print(stamp_line(report["machine"]))
    console.print(goal_table(report))
    console.print(case_table(report))


def goal_table(report: dict[str, Any]) -> Table:
    """Return the goals and measurements, in the order of `GOALS`."""
    table = Table("Goal", "Bound", "On", "Measured", "")
    verdicts = [row["verdict"] for row in report["goals"]]
    counted = f"{verdicts.count('reached')} reached, {verdicts.count('missed')} missed"
    table.caption = (
        f"{counted}, {verdicts.count('–')} not measured; × is the median over rounds of the ratio within a round"
    )
    for row in sorted(report["goals"], key=lambda row: list(GOALS).index(row["goal"])):
        cells = [row[column] for column in ("what", "bound", "on", "measured", "verdict")]
        table.add_row(*cells, style=STYLES[row["verdict"]])
    return table


def case_table(report: dict[str, Any]) -> Table:
    """Return time, images per second and peak memory of every case."""
    table = Table("On", "Section", "Case")
    for name in ("ms", "images/s", "peak MB"):
        table.add_column(name, justify="right")
    meanings = [f"on {device}: {meaning}" for device, meaning in report["peak_memory"].items()]
    table.caption = f"Medians. Peak memory of one run, without weights and inputs; {'; '.join(meanings)}."
    for case in report["cases"]:
        numbers = (1000 * case["median_seconds"], case["images_per_second"], case["peak_bytes"] / 1e6)
        table.add_row(case["on"], case["section"], case["case"], *map(number, numbers))
    return table
