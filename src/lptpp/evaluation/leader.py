"""Which of several runs is best, and whether its lead may be chance."""

from collections.abc import Iterator, Sequence

import numpy as np

from lptpp.evaluation.compare import ComparedRun, comparable_measures, short_names
from lptpp.evaluation.files import has_formulas, read_rows
from lptpp.evaluation.intervals import paired_interval
from lptpp.evaluation.table import known
from lptpp.utils.text import counted, listed

Answers = tuple[list[tuple[str, str]], np.ndarray]  # images with their classes; whether each is right (n,)


def leader(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Yield which run is overall best, and from which others it does not differ clearly on the same images.

    Yields nothing for one run, for runs that are not comparable, and without their predictions.
    """
    if len(runs) < 2 or "overall" not in comparable_measures(runs) or not all(known(_overall(run)) for run in runs):
        return
    answers = [_answers(run) for run in runs]
    if any(found is None or found[0] != answers[0][0] for found in answers):  # type: ignore[index]
        return
    names, best = short_names([run.folder for run in runs]), int(np.argmax([_overall(run) or 0.0 for run in runs]))
    right = [found[1] for found in answers if found is not None]
    unclear = [
        name for place, name in enumerate(names) if place != best and paired_interval(right[best], right[place])[0] <= 0
    ]
    images = f"the same {counted(len(right[best]), 'image')}"
    lead = f"{names[best]} has the highest overall accuracy ({_overall(runs[best]):.1f}%)"
    if unclear:
        yield f"{lead}, but on {images} it does not differ clearly (95% interval) from {listed(unclear)}."
    else:
        yield f"{lead}; on {images}, the difference to every other run is clear (95% interval)."


def _overall(run: ComparedRun) -> float | None:
    return run.metrics["rows"].get(run.metrics["result"], {}).get("overall")


def _answers(run: ComparedRun) -> Answers | None:
    file = run.folder / "predictions.csv"
    if not file.is_file():
        return None
    rows = read_rows(file, has_formulas(run.metrics))
    right = np.array([row["true"] == row["label_1"] for row in rows])
    return [(row["image"], row["true"]) for row in rows], right
