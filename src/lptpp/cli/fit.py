"""`lptpp fit`."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING_DATA, Config, Overrides, console, log
from lptpp.utils import processes
from lptpp.utils.durations import parse_time
from lptpp.utils.errors import UserError


def fit(
    config: Config,
    overrides: Overrides = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Choose the numbers of epochs so that the run takes about this time, such as 20m, 1h30m or 90s."
        ),
    ] = None,
) -> None:
    """Train a model and print its accuracy on many-, medium- and few-shot classes.

    A folder of images needs one subfolder per class, or train/ and test/ with these; the run folder is then runs/NAME.
    Resumes automatically if the run folder contains a checkpoint: after an interruption, repeat the command, or give
    the run folder. The results are the same as without the interruption.

    **Examples**

    lptpp fit emoji

    lptpp fit my_images/

    lptpp fit cifar100_lt data.root=cifar100 method=lpt seed=1 run=runs/lpt

    lptpp fit my_images/ --time 20m

    lptpp fit mine.yaml     (a settings file, for example from `lptpp init`)
    """
    from lptpp.config import load_settings
    from lptpp.config.paths import check_data_paths

    began = monotonic()
    processes.join()  # before anything that may fail, so that one process says so
    if time is not None:
        parse_time(time)  # refused before anything is loaded
        _refuse_epochs(overrides or [])
    settings = load_settings(config, overrides or [])
    processes.start(settings.shards)
    check_data_paths(settings.data)
    log.info(LOADING_DATA)
    from lptpp import api
    from lptpp.console.result import show_result

    wanted = settings
    if time is not None:
        settings = api.fit_epochs(settings, time)
    metrics = api.fit(settings)
    if processes.is_main():
        show_result(console, Path(settings.run), metrics)
    if time is not None:
        api.warn_about_few_epochs(time, settings, wanted)
        api.warn_about_overrun(time, monotonic() - began)
    processes.stop()


def _refuse_epochs(overrides: list[str]) -> None:
    """Raise `UserError` for a number of epochs next to a time, which chooses it."""
    given = [one for one in overrides if one.startswith(("phase1.epochs=", "phase2.epochs="))]
    if given:
        raise UserError(f"--time chooses the numbers of epochs, and so does {given[0]}: leave one of them out.")
