"""Learning curves and training time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lptpp.report.gather import CsvRows, EvaluatedRun
from lptpp.report.section import Cell, Plot, Section, Table, number
from lptpp.report.style import LINES, plain_figure

PHASES = {
    "phase1": (
        "Phase 1",
        "Mean training loss per epoch. If it still decreases at the end, more epochs may help.",
    ),
    "phase2": (
        "Phase 2",
        "This loss includes the key-matching term and, if set, a second data stream; it is not comparable with that of"
        " phase 1.",
    ),
    "phase3": (
        "Phase 3",
        "Negative log-likelihood of the true class under the weighted experts. If it hardly decreases, the weights stay"
        " close to equal.",
    ),
}
TRAINED = {  # titles by part, by phase
    "phase1": {part: part for part in ("backbone", "shared prompts", "adapters", "stem adapters", "classifier")},
    "phase2": {"group prompts": "group prompts, keys", "classifier": "classifier"},
    "phase3": {"scorer": "scorer"},
}
MEASURES = {  # columns of history.csv; validation columns are present with evaluation.each_epoch
    "loss": "training loss",
    "validation_overall": "validation, %",
    "validation_mean_class": "mean class, %",
}
MARKED = 12  # maximum number of epochs drawn with markers


def section(run: EvaluatedRun) -> Section:
    """Return the section with the learning curves."""
    if not run.history:
        return Section("Training", note="The run folder contains no history.csv, so there are no learning curves.")
    stages = by_stage(run.history)
    plots = []
    for phase, (title, caption) in PHASES.items():
        owners = {stage.split("/")[0]: rows for stage, rows in stages.items() if stage.endswith(f"/{phase}")}
        plots += [curves(f"{title}: {trained(run.metrics, phase)}", caption, owners)] if owners else []
    return Section("Training", [*plots, durations(stages)])


def trained(metrics: Mapping[str, Any], phase: str) -> str:
    """Return what a phase trains with the method of a run: classifier alone for a linear probe."""
    found = {part for parts in metrics["tuned_parts"].values() for part in parts}
    return ", ".join(title for part, title in TRAINED[phase].items() if part in found)


def by_stage(history: CsvRows) -> dict[str, CsvRows]:
    """Return the epochs of each stage, such as visual/phase1, in order."""
    stages: dict[str, CsvRows] = {}
    for row in history:
        stages.setdefault(row["stage"], []).append(row)
    return stages


def curves(title: str, caption: str, owners: dict[str, CsvRows]) -> Plot:
    """Draw the measures of a phase over its epochs, a line for each expert."""
    drawn = [key for key in MEASURES if any(row.get(key) for rows in owners.values() for row in rows)]
    figure = plain_figure(height=1.1 + 1.6 * len(drawn))
    axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for ax, key in zip(axes, drawn, strict=True):
        _draw_lines(ax, owners, key)
    longest = max(len(rows) for rows in owners.values())
    axes[-1].set(xlim=(0.6, longest + 0.4), xlabel="epoch")
    axes[-1].set_xticks(np.unique(np.linspace(1, longest, min(longest, 8)).round().astype(int)))
    if len(owners) > 1:
        axes[0].legend()
    return Plot(figure, title, losses(owners), caption)


def _draw_lines(ax: Axes, owners: dict[str, CsvRows], key: str) -> None:
    for (name, rows), (color, dashes) in zip(owners.items(), LINES * len(owners), strict=False):
        known = [(int(row["epoch"]), float(row[key])) for row in rows if row.get(key)]
        marker = "o" if len(rows) <= MARKED else ""
        ax.plot(*np.reshape(known, (-1, 2)).T, color=color, linestyle=dashes, marker=marker, markersize=4, label=name)
    ax.set_ylabel(MEASURES[key])
    ax.margins(y=0.15)


def losses(owners: dict[str, CsvRows]) -> str:
    """Return the losses of the first and the last epoch."""
    ends = {
        name: " and ".join(dict.fromkeys(f"{float(row['loss']):.2f}".replace("-", "−") for row in (rows[0], rows[-1])))
        for name, rows in owners.items()
    }
    shown = "; ".join(f"{name} {found}" if len(ends) > 1 else found for name, found in ends.items())
    return f"Loss in the first and the last epoch: {shown}."


def durations(stages: dict[str, CsvRows]) -> Table:
    """Return the training time of each stage."""
    seconds = {stage: sum(float(row["seconds"]) for row in rows) for stage, rows in stages.items()}
    rows = [[Cell(stage), number(str(len(stages[stage]))), number(f"{of:,.1f}")] for stage, of in seconds.items()]
    return Table("Time", ["stage", "epochs", "seconds"], rows, f"Total: {sum(seconds.values()):,.0f} seconds.")
