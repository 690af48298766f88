"""How training went."""

import numpy as np
from matplotlib.axes import Axes

from lptpp.report.gather import Rows, Run
from lptpp.report.section import Cell, Plate, Section, Table, number
from lptpp.report.style import LINES, plain_figure

PHASES = {
    "phase1": (
        "Phase 1: shared prompts, adapters, classifier",
        "The mean loss of each epoch over the training batches; where it still falls at the end, more epochs may help.",
    ),
    "phase2": (
        "Phase 2: group prompts, keys, classifier",
        "This loss holds two samplings and the match of the keys: compare it with itself, not with that of phase 1.",
    ),
    "phase3": (
        "Phase 3: scorer",
        "The surprise at the true class under the weighed experts; where it hardly falls, the weights stay near equal.",
    ),
}
MEASURES = {  # columns of history.csv; the later ones are there with evaluation.each_epoch
    "loss": "training loss",
    "validation_overall": "validation, %",
    "validation_mean_class": "mean class, %",
}
MARKED = 12  # epochs that are marked one by one, at most


def section(run: Run) -> Section:
    """Return the part on the learning curves."""
    if not run.history:
        return Section("Training", note="The run folder holds no history.csv: there are no learning curves to draw.")
    stages = by_stage(run.history)
    plates = []
    for phase, (title, reading) in PHASES.items():
        experts = {stage.split("/")[0]: rows for stage, rows in stages.items() if stage.endswith(f"/{phase}")}
        plates += [curves(title, reading, experts)] if experts else []
    return Section("Training", [*plates, durations(stages)])


def by_stage(history: Rows) -> dict[str, Rows]:
    """Return the epochs of each stage, as in visual/phase1, in their order."""
    stages: dict[str, Rows] = {}
    for row in history:
        stages.setdefault(row["stage"], []).append(row)
    return stages


def curves(title: str, reading: str, experts: dict[str, Rows]) -> Plate:
    """Draw what was measured in a phase over its epochs, a line for each expert."""
    drawn = [key for key in MEASURES if any(row.get(key) for rows in experts.values() for row in rows)]
    figure = plain_figure(height=1.1 + 1.6 * len(drawn))
    axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for ax, key in zip(axes, drawn, strict=True):
        _draw_lines(ax, experts, key)
    longest = max(len(rows) for rows in experts.values())
    axes[-1].set(xlim=(0.6, longest + 0.4), xlabel="epoch")
    axes[-1].set_xticks(np.unique(np.linspace(1, longest, min(longest, 8)).round().astype(int)))
    if len(experts) > 1:
        axes[0].legend()
    return Plate(figure, title, fall(experts), reading)


def _draw_lines(ax: Axes, experts: dict[str, Rows], key: str) -> None:
    for (name, rows), (color, dashes) in zip(experts.items(), LINES * len(experts), strict=False):
        known = [(int(row["epoch"]), float(row[key])) for row in rows if row.get(key)]
        marker = "o" if len(rows) <= MARKED else ""
        ax.plot(*np.reshape(known, (-1, 2)).T, color=color, linestyle=dashes, marker=marker, markersize=4, label=name)
    ax.set_ylabel(MEASURES[key])
    ax.margins(y=0.15)


def fall(experts: dict[str, Rows]) -> str:
    """Return in a sentence from where to where the loss went."""
    ends = {
        name: list(dict.fromkeys(f"{float(row['loss']):.2f}" for row in (rows[0], rows[-1])))
        for name, rows in experts.items()
    }
    message = "; ".join((f"{name}: " if len(ends) > 1 else "") + " to ".join(losses) for name, losses in ends.items())
    return f"Loss, first to last epoch: {message}."


def durations(stages: dict[str, Rows]) -> Table:
    """Return what each stage took."""
    seconds = {stage: sum(float(row["seconds"]) for row in rows) for stage, rows in stages.items()}
    rows = [[Cell(stage), number(str(len(stages[stage]))), number(f"{of:,.1f}")] for stage, of in seconds.items()]
    return Table(
        "Time", ["stage", "epochs", "seconds"], rows, f"In all {sum(seconds.values()):,.0f} seconds of training."
    )
