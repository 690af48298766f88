"""The group of all commands: its help, the options before a command, and mistakes in arguments."""

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lptpp.utils import processes
from lptpp.utils.errors import StoppedAtOnce, UserError, did_you_mean
from lptpp.utils.text import either

TOGETHER = ("fit", "predict")  # commands for several processes
MEANT = {
    "train": "fit",
    "test": "evaluate",
    "eval": "evaluate",
    "infer": "predict",
    "classify": "predict",
    "serve": "app",
}
OPTIONS_MEANT = {"--format": "--to FORMAT", "--preset": "lptpp fit PRESET data.root=FOLDER"}


class Commands(TyperGroup):
    """Handles Ctrl-C and wrong arguments instead of Click, with hints at settings and an example."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, or say which one was meant."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise UserError(
                f"There is no command {args[0]}: {did_you_mean(MEANT.get(args[0], args[0]), self.commands)}"
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message or f"For example: {_first_example(error.ctx)}"  # a missing argument has none
            raise
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        except Exception as error:
            if not hasattr(error, "possibilities"):  # of NoSuchOption, which typer does not export
                raise
            raise UserError(_unknown_option(error)) from None


def _unknown_option(error: Any) -> str:
    """Return what to write instead of an option that does not exist: a setting, or a similar option."""
    parameters = [] if error.ctx is None else error.ctx.command.params
    takes_settings = any(parameter.name == "overrides" for parameter in parameters)
    option, *after = _given(error.option_name)
    if takes_settings and (found := _settings_for(option, after)):
        return f"there is no option {option.partition('=')[0]}: write {either(found)}, without dashes."
    similar = [OPTIONS_MEANT[option]] if option in OPTIONS_MEANT else list(error.possibilities or ())
    similar += [f"./{option} (the file)"] if Path(option).exists() else []
    advice = f"did you mean {either(similar)}?" if similar else "see --help."
    also = " Settings are given as key=value, such as phase1.epochs=5." if takes_settings else ""
    return f"there is no option {error.option_name}: {advice}{also}"


def _given(option: str) -> list[str]:
    """Return the arguments from an unknown option on; Click names only the first letter after a single dash."""
    place = next((place for place, given in enumerate(sys.argv) if place and given.startswith(option)), None)
    return [option] if place is None else sys.argv[place:]


def _settings_for(option: str, after: list[str]) -> list[str]:
    """Return the settings that an option stands for: phase1.epochs=1 for --phase1.epochs=1 or --phase1.epochs 1."""
    from lptpp.config import Settings
    from lptpp.config.validate import settings_named

    name, _, value = option.lstrip("-").partition("=")
    if not value and after and not after[0].startswith("-") and "=" not in after[0]:
        value = after[0]
    keys = [name] if "." in name else settings_named(Settings, name.replace("-", "_"))
    return [shlex.quote(f"{key}={value or 'VALUE'}") for key in keys]


def _first_example(ctx: Any) -> str:
    """Return the first example in the help of a command."""
    lines = (line.strip() for line in ctx.command.help.split("**Example")[-1].splitlines())
    return next(line for line in lines if line.startswith("lptpp "))


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="LPT++: image classification for long-tailed data sets, where few classes have most of the images.",
    epilog="Start with `lptpp fit emoji`, then with a folder of your own: `lptpp fit my_images/`.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("lptpp"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options of `lptpp` itself."""
    if context.invoked_subcommand not in TOGETHER:
        processes.refuse_many(str(context.invoked_subcommand))
