"""Which of several runs is best, and whether its lead may be chance."""

from collections.abc import Iterator, Sequence

import numpy as np

from lptpp.evaluation.answers import Answers, comparable_answers
from lptpp.evaluation.compare import ComparedRun, comparable_measures, shared_images, short_names
from lptpp.evaluation.intervals import paired_interval
from lptpp.evaluation.table import known
from lptpp.utils.text import counted, listed

NO_VERDICT = "Which run is best cannot be said"


def leader(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Yield which run is overall best, and from which others it does not differ clearly on the same images.

    Yields why that is unknown if the runs have other images or no predictions; nothing for one run, and for runs that
    are not comparable (`lptpp.evaluation.compare.differences` says why).
    """
    if len(runs) < 2 or "overall" not in comparable_measures(runs) or not all(known(_overall(run)) for run in runs):
        return
    names, best = short_names([run.folder for run in runs]), int(np.argmax([_overall(run) or 0.0 for run in runs]))
    found = comparable_answers([(run.folder, run.metrics) for run in runs])
    if found is None:
        gone = [name for name, run in zip(names, runs, strict=True) if not (run.folder / "predictions.csv").is_file()]
        yield f"{NO_VERDICT}: there is no predictions.csv in {listed(gone)}; `lptpp evaluate` writes it."
        return
    answers, by_image = found
    if any(one.images != answers[0].images for one in answers):
        yield f"{NO_VERDICT}: {_why_not(answers, by_image)}."
        return
    right = [one.right for one in answers]
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


def _why_not(answers: Sequence[Answers], by_image: bool) -> str:
    """Return why the images of several runs cannot be paired."""
    if not by_image:
        return "the paths of their evaluated images differ, and not all runs record the contents"
    return f"they were evaluated on different images ({shared_images(answers)})"
