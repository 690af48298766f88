"""The goals of the speed table, and what was found for each."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A bound on what is measured."""

    what: str
    bound: float
    at_most: bool  # else at least
    unit: str = "×"

    @property
    def text(self) -> str:
        """The bound as people write it."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:g} {self.unit}"

    def reached(self, value: float) -> bool:
        """Say whether a value keeps the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


GOALS = {
    "floor": Goal("inference with group prompts, time over the floor", 1.58, True),
    "inference": Goal("inference, against the published form at the same precision", 1.4, False),
    "phase2 same": Goal("phase-2 step, against the published form at the same precision", 1.4, False),
    "phase2 default": Goal("phase-2 step at the default precision, against the published form (float32)", 3, False),
    "memory same": Goal("phase-2 peak memory, against the published form at the same precision", 0.6, True),
    "memory default": Goal("phase-2 peak memory at the default precision, against the published (float32)", 0.6, True),
    "loop": Goal("training loop with real images and augmentation, against the bare step on tensors", 0.9, False),
    "phase3": Goal("phase 3, share of a fit (from the first epoch to the end of phase 3)", 5, True, "%"),
    "demo": Goal("make demo after installation", 3, True, "min"),
    "gpu inference": Goal("ViT-B/16 bf16 inference, share of the card's measured bf16 matmul rate", 50, False, "%"),
    "gpu training": Goal("ViT-B/16 bf16 phase-2 step, share of the card's measured bf16 matmul rate", 40, False, "%"),
    "sampler memory": Goal("sampler state for 10 million images, 8,142 classes", 200, True, "MB"),
    "sampler start": Goal("time to start an epoch of them", 2, True, "s"),
    "sampler draws": Goal("draws a second", 1, False, "million"),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What was measured for a goal, on what; nothing where it could not be, and `note` says why."""

    goal: str  # a key of GOALS
    on: str
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        """Reached if every value keeps the bound."""
        if not self.values:
            return "–"
        return "reached" if all(map(GOALS[self.goal].reached, self.values.values())) else "missed"

    @property
    def measured(self) -> str:
        """The values as people read them."""
        message = [f"{number(value)} {label}".strip() for label, value in self.values.items()]
        return ", ".join([*message, self.note] if self.note else message)

    def plain(self) -> dict[str, Any]:
        """Return everything, as JSON knows it."""
        goal = GOALS[self.goal]
        message = {"what": goal.what, "bound": goal.text, "measured": self.measured, "verdict": self.verdict}
        return {**asdict(self), **message}


def number(value: float) -> str:
    """Return a number with three digits that count, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
