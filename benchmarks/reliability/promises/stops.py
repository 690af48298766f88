"""Ctrl-C and SIGTERM while a command lists, reads, computes or draws: it ends in seconds, and files are unchanged.

What goes on at that moment is made to take ten minutes: a folder that is listed, an image that a thread decodes, a fit
of scikit-learn. Stops within a training step are another promise (`signals`).
"""

import importlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.reliability.forks import Ended, Fork, command, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World

MOST_SECONDS = 5  # until it has ended; 0.3 to 1.5 are usual
FOREVER = 600
DECODING = "data.decode:_decoded"
SPACE = "phase1.learning_rate: {low: 0.001, high: 0.1, log: true}\n"
PROBE = "evaluation.baselines=[linear_probe]"


class Moment(NamedTuple):
    """A command, given the world and a folder, and what takes for ever in it, as MODULE:NAME below lptpp.

    If `from_then_on` is given, it does from the first call of that on.
    """

    words: Callable[[World, Path], Callable[[], None]]
    slow: str
    from_then_on: str | None = None
    before: int | str | None = None  # the stage, counted from the end, or "run", whose folder is at hand


def fit(*overrides: str) -> Callable[[World, Path], Callable[[], None]]:
    """Return `lptpp fit` on the run folder."""
    return lambda world, folder: world.fit(folder / "run", *overrides)


def on_run(name: str, *options: object) -> Callable[[World, Path], Callable[[], None]]:
    """Return a command on a finished run."""
    return lambda world, folder: command(name, folder / "run", *options)


def predict(world: World, folder: Path) -> Callable[[], None]:
    """Return predictions of all pictures."""
    return command("predict", folder / "run", world.pictures, "--output", folder / "predictions.csv")


def data(world: World, folder: Path) -> Callable[[], None]:
    """Return the inspection of all pictures."""
    return command("data", world.config, "--output", folder / "data")


def sweep(world: World, folder: Path) -> Callable[[], None]:
    """Return a sweep of two trials."""
    (folder / "space.yaml").write_text(SPACE)
    options = ("data.validation=0.4", "--space", folder / "space.yaml", "--trials", 2, "--output", folder / "sweep")
    return command("sweep", world.config, *options)


PROBING, DRAWING = "evaluation.probes:_path", "report.page:_drawn"
MOMENTS = {
    "fit: listing": Moment(fit(), "data.sources.walk:listing"),
    "fit: checking images": Moment(fit("data.on_error=skip"), DECODING),
    "fit: recording images": Moment(fit(), "data.content:digest"),
    "fit: class means": Moment(fit(), DECODING, "training.inputs:frozen_features"),
    "fit: decoding into memory": Moment(fit("workers=1"), DECODING, "data.cache:ImageCache.fill", before=-4),
    "fit: expert outputs": Moment(fit(), DECODING, "training.inputs:TrainingInputs.scorer_outputs", before=-2),
    "fit: evaluation": Moment(fit(), DECODING, "training.fit:write_evaluation", before=-1),
    "fit: linear probe": Moment(fit(PROBE), PROBING, before=-1),
    "fit: report": Moment(fit(), DRAWING, before="run"),
    "evaluate: images": Moment(on_run("evaluate"), DECODING, before="run"),
    "evaluate: linear probe": Moment(on_run("evaluate", PROBE), PROBING, before="run"),
    "predict": Moment(predict, DECODING, before="run"),
    "report": Moment(on_run("report"), DRAWING, before="run"),
    "export: samples": Moment(on_run("export", "--to", "onnx"), DECODING, before="run"),
    "export: tracing": Moment(on_run("export", "--to", "torch"), "export.torch_program:traced", before="run"),
    "export: writing": Moment(on_run("export", "--to", "huggingface"), "export.hugging_face:model_card", before="run"),
    "data: listing": Moment(data, "data.sources.walk:listing"),
    "data: checking images": Moment(data, DECODING),
    "sweep: checking images": Moment(sweep, DECODING, "sweep.search:fit"),
    "sweep: evaluation": Moment(sweep, DECODING, "training.fit:write_evaluation"),
    "compare": Moment(on_run("compare"), "evaluation.compare:read_metrics", before="run"),
    "app: similar images": Moment(on_run("app", "--port", 0), DECODING, "app.neighbors:_compute", before="run"),
}
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Stop at every moment with both signals; a smaller `count` takes some of them."""
    every = [(f"{name}, {number.name}", partial(_trial, world, name, number)) for name in MOMENTS for number in SIGNALS]
    step = max(1, len(every) // count)
    yield from in_lanes([every[place * step] for place in range(count)], world.scratch("stops"))


def _trial(world: World, name: str, number: signal.Signals, folder: Path) -> str | None:
    moment = MOMENTS[name]
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # which images were checked before is not known
    if moment.before is not None:
        shutil.copytree(world.run if moment.before == "run" else world.stages[int(moment.before)], folder / "run")
    if name.startswith("fit") and moment.before == "run":
        (folder / "run" / "metrics.json").unlink()  # otherwise `fit` has nothing to do
    results = [*(folder / "run").glob("*.csv"), *(folder / "run").glob("*.html")] if moment.before == "run" else []
    kept = {path: path.read_bytes() for path in results}
    done, seconds = _stopped(moment, number, world, folder)
    if done.status != 130 or not done.last.startswith("Stopped ") or "Traceback" in done.output:
        return f"status {done.status} after {seconds:.1f} s: {done.output}"
    if seconds > MOST_SECONDS:
        return f"ended after {seconds:.1f} s"
    changed = [str(path) for path, content in kept.items() if path.read_bytes() != content]
    left = [str(path) for path in folder.rglob(".*.partial")]
    return f"it changed {changed}, left {left}" if changed or left else None


def _stopped(moment: Moment, number: signal.Signals, world: World, folder: Path) -> tuple[Ended, float]:
    """Run up to the moment, send the signal, and return how it ended, and after how many seconds."""
    reached = folder / "reached"

    def work() -> None:
        _slow_down(moment, reached)
        moment.words(world, folder)()

    fork = Fork(work, folder / "stopped.output")
    while fork.process.is_alive() and not reached.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    began = time.monotonic()
    if fork.process.is_alive():
        os.kill(fork.pid, number)
    done = fork.wait(60)
    return done, time.monotonic() - began


def _slow_down(moment: Moment, reached: Path) -> None:
    """Replace what is to take for ever."""
    begun = moment.from_then_on is None

    def slow(original: Any, *arguments: Any, **options: Any) -> Any:
        if not begun:
            return original(*arguments, **options)
        reached.touch()
        time.sleep(FOREVER)

    def begins(original: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal begun
        begun = True
        return original(*arguments, **options)

    _wrap(moment.slow, slow)
    if moment.from_then_on is not None:
        _wrap(moment.from_then_on, begins)


def _wrap(name: str, around: Callable[..., Any]) -> None:
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner = importlib.import_module(f"lptpp.{module}")
    for one in owners:
        owner = getattr(owner, one)
    original = getattr(owner, last)
    setattr(owner, last, lambda *arguments, **options: around(original, *arguments, **options))


PROMISE = Promise(
    "Ctrl-C and SIGTERM while a command reads, computes or draws: it ends in seconds",
    verdicts,
    2 * len(MOMENTS),
    4,
    seconds=0.7,
)
