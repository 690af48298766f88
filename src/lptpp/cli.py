"""The command line: one verb for each thing a practitioner does with a long-tailed collection."""

import json
import logging
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from lptpp.errors import Interrupted, UserError
from lptpp.progress import console as progress_console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="LPT++: classify images when a few classes have most of the pictures and most classes have a handful.",
    epilog="Start with `lptpp fit configs/emoji.yaml`; then copy `configs/folder.yaml` for pictures of your own.",
)
console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)  # names may hold [brackets] and :colons:

SHOWN = 10  # predictions printed; the file holds all

ConfigArgument = Annotated[str, typer.Argument(help="A settings file (YAML).", show_default=False)]
RunArgument = Annotated[Path, typer.Argument(help="A run folder that `lptpp fit` made.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings as key=value, for example phase1.epochs=5.", show_default=False)
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("lptpp"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Give every verb the options they share; the text of `--help` is above."""


@app.command()
def fit(config: ConfigArgument, overrides: Overrides = None) -> None:
    """Train all phases, then print the shot table.

    Goes on by itself where the run folder holds a checkpoint: after Ctrl-C, a crash, or a power cut, give the same
    command again (or `lptpp fit RUN_FOLDER`) and it ends with the same numbers.

    **Examples**

    lptpp fit configs/emoji.yaml

    lptpp fit configs/folder.yaml data.root=my_pictures run=runs/mine

    lptpp fit configs/cifar100_lt.yaml method=lpt seed=1 run=runs/lpt
    """
    from lptpp.show import show_result
    from lptpp.training import fit as training

    settings = _settings(config, overrides)
    show_result(console, Path(settings.run), training.fit(settings))


@app.command()
def evaluate(run: RunArgument, overrides: Overrides = None) -> None:
    """Print the shot table of a finished run, and write its metrics, per-class, confusion and prediction files again.

    **Examples**

    lptpp evaluate runs/emoji

    lptpp evaluate runs/emoji evaluation.borders=[10,50]
    """
    from lptpp.evaluate_run import evaluate_run
    from lptpp.show import show_result

    show_result(console, run, evaluate_run(run, overrides or []))


@app.command()
def predict(
    run: RunArgument,
    paths: Annotated[list[Path], typer.Argument(help="Images, folders, or .txt lists of paths.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .csv or .parquet file.")] = Path("predictions.csv"),
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="How many classes for each image.")] = 5,
) -> None:
    """Classify images; one row each, with the best classes and their probabilities.

    An image that cannot be read gets a row with the reason, and the command ends with exit status 1.

    **Examples**

    lptpp predict runs/emoji cat.png dog.png

    lptpp predict runs/mine new_pictures/ --output new.parquet --top-k 3
    """
    from lptpp.predict_paths import predict_paths

    rows, faults = predict_paths(run, paths, output, top_k)
    for row in [row for row in rows if not row["error"]][:SHOWN]:
        console.print(f"{row['image']}: {row['label_1']} ({row['probability_1']:.0%})")
    if len(rows) - faults > SHOWN:
        console.print(f"… and {len(rows) - faults - SHOWN:,} more")
    for row in [row for row in rows if row["error"]]:
        console.print(f"{row['image']}: {row['error']}")
    console.print(f"{len(rows):,} images, {faults:,} of them unreadable; predictions are in {output}")
    if faults:
        raise typer.Exit(1)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the table: .csv or .json.")] = None,
) -> None:
    """Print the shot tables of runs side by side.

    **Example**

    lptpp compare runs/lptpp runs/lpt --output comparison.csv
    """
    from lptpp.evaluation.tables import comparison_rows, comparison_table
    from lptpp.writing import write_csv, write_json

    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"{output} should end in .csv or .json.")
    found = {str(run): _metrics(run) for run in runs}
    console.print(comparison_table(found))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        (write_json if output.suffix == ".json" else write_csv)(output, comparison_rows(found))
        console.print(f"The table is in {output}")


@app.command()
def data(config: ConfigArgument, overrides: Overrides = None) -> None:
    """Look at a data set before training: class counts, imbalance, parts, and every image that cannot be read.

    **Examples**

    lptpp data configs/folder.yaml data.root=my_pictures

    lptpp data configs/emoji.yaml
    """
    from lptpp.show import show_data

    if not show_data(console, _settings(config, overrides)):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; whatever a user can mend ends in one sentence and exit status 2."""
    handler = RichHandler(console=progress_console, show_path=False, show_level=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", datefmt="[%X]", handlers=[handler])
    logging.getLogger("lptpp").setLevel(logging.INFO)
    try:
        app()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted:
        print(f"Stopped and saved. To go on: {shlex.join(['lptpp', *sys.argv[1:]])}", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"Error: {error}: see to the disk or the file; what the last checkpoint holds is kept.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Stopped at once; what the last checkpoint holds is kept.", file=sys.stderr)
        sys.exit(130)


def _settings(config: str, overrides: list[str] | None) -> Any:
    from lptpp.config import load_settings
    from lptpp.model import run_settings

    if Path(config).is_dir():
        return run_settings(Path(config), overrides or [])
    return load_settings(config, overrides or [])


def _metrics(run: Path) -> dict[str, Any]:
    path = run / "metrics.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: finish the run with `lptpp fit`, or name another folder.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): write it again with `lptpp evaluate {run}`.") from error


if __name__ == "__main__":
    main()
