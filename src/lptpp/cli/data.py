"""`lptpp data`."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING_DATA, Config, Overrides, console, log


def data(
    config: Config,
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the figure and the tables.")] = Path(
        "data_report"
    ),
    images: Annotated[bool, typer.Option("--images/--no-images", help="Open every image, or only count.")] = True,
) -> None:
    """Inspect a data set before training: class counts, imbalance, splits, unreadable and duplicate images.

    Lists unreadable images (then the exit status is 1), the smallest and largest ones, and duplicates, in particular
    across training and test and across classes.

    **Examples**

    lptpp data my_images/

    lptpp data table data.train_list=table.csv data.label_column=species --no-images

    lptpp data emoji --output emoji_report
    """
    from lptpp.config import load_settings
    from lptpp.config.paths import check_data_paths

    settings = load_settings(config, overrides or [])
    check_data_paths(settings.data)
    log.info(LOADING_DATA)
    from lptpp.console.data import show_data

    if not show_data(console, settings, output, images):
        raise typer.Exit(1)
