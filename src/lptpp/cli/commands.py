"""All commands, in the order of the help."""

from collections.abc import Callable

from lptpp.cli.data import data
from lptpp.cli.export import export
from lptpp.cli.fit import fit
from lptpp.cli.group import app
from lptpp.cli.page import page
from lptpp.cli.predict import predict
from lptpp.cli.presets import backbones, init, presets
from lptpp.cli.results import compare, evaluate, report
from lptpp.cli.sweep import sweep

COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit,
    "presets": presets,
    "backbones": backbones,
    "init": init,
    "data": data,
    "evaluate": evaluate,
    "predict": predict,
    "app": page,
    "report": report,
    "compare": compare,
    "sweep": sweep,
    "export": export,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
