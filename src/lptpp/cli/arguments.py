"""Arguments that several commands take, and where commands print."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from lptpp.utils.progress import Terminal

console = Terminal(highlight=False, markup=False, emoji=False, soft_wrap=True)  # names may contain [brackets], :colons:
log = logging.getLogger("lptpp")
LOADING = "Loading the model …"  # logged first, as the next: importing what a command needs takes seconds
LOADING_DATA = "Loading the data set …"
LOADING_RESULTS = "Loading the results …"

Config = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of images, a preset, a settings file (YAML), or a run folder.",
        show_default=False,
    ),
]
Run = Annotated[Path, typer.Argument(help="A run folder written by `lptpp fit`.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings as key=value, such as phase1.epochs=5.", show_default=False)
]
LargestMegapixels = Annotated[
    float | None,
    typer.Option(help="Refuse images with more megapixels to decode.  [default: as in the settings of the run]"),
]
