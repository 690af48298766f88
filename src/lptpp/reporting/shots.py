"""The rows of the shot table side by side."""

from lptpp.reporting.gather import Run
from lptpp.reporting.section import Plate
from lptpp.reporting.style import COLOURS, MARKS, PALE, SHOTS, panel
from lptpp.reporting.words import percent, shortened, signed


def shot_plot(run: Run) -> Plate:
    """Draw the accuracy of every row on many-, medium- and few-shot classes."""
    rows = run.metrics["rows"]
    figure, ax = panel(height=1.0 + 0.27 * max(len(rows), 4))
    for place, row in enumerate(rows.values()):
        known = [row[shot] for shot in SHOTS if row[shot] is not None]
        ax.plot([min(known), max(known)], [place, place], color=PALE, linewidth=4, zorder=1)
    for shot in SHOTS:
        at = [(row[shot], place) for place, row in enumerate(rows.values()) if row[shot] is not None]
        if at:
            ax.plot(*zip(*at, strict=True), MARKS[shot], color=COLOURS[shot], markersize=7, label=shot)
    ax.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy, %")
    ax.set_yticks(range(len(rows)), [shortened(name, 24) for name in rows])
    for label, name in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if name == run.answer else "normal")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=3)
    return Plate(figure, "Frequent against rare classes", spread(run), (
        "Each line is a row of the table; the nearer its ends, the less a class pays for being rare."
    ))  # fmt: skip


def spread(run: Run) -> str:
    """Return in a sentence how far apart the answer's accuracies on frequent and on rare classes are."""
    known = {shot: run.metrics["rows"][run.answer][shot] for shot in SHOTS}
    known = {shot: value for shot, value in known.items() if value is not None}
    told = " and ".join(
        f"{percent(known[shot], 1)} of {shot}-shot" for shot in dict.fromkeys([*known][:1] + [*known][-1:])
    )
    difference = f": {signed(known['many'] - known['few'])} points" if {"many", "few"} <= known.keys() else ""
    return f"{run.answer} is right on {told} images{difference}."
