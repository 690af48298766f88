"""Arguments that several commands take, and where commands print."""

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from lptpp.utils.errors import UserError
from lptpp.utils.progress import Terminal
from lptpp.utils.text import either

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


def refuse_options(context: typer.Context, overrides: list[str] | None) -> list[str]:
    """Return the settings; raise UserError for an option of the command that is written like one."""
    options = {option: one for one in context.command.params for option in one.opts}
    for override in overrides or []:
        key, _, value = override.partition("=")
        if (option := options.get(f"--{key}")) is not None:
            switches = [*option.opts, *option.secondary_opts] if option.secondary_opts else []
            written = switches or [f"--{key} {shlex.quote(value)}"]
            raise UserError(f"{key} is an option, not a setting: write {either(written)}.")
    return overrides or []


Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as key=value, such as phase1.epochs=5.", show_default=False, callback=refuse_options),
]
LargestMegapixels = Annotated[
    float | None,
    typer.Option(help="Refuse images with more megapixels to decode.  [default: as in the settings of the run]"),
]
