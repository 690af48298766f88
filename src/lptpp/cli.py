"""The command line: one verb for each thing a practitioner does with a long-tailed collection."""

import logging
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from lptpp.utils.errors import Interrupted, UserError
from lptpp.utils.progress import console as progress_console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="LPT++: classify images when a few classes have most of the pictures and most classes have a handful.",
    epilog="Start with `lptpp fit configs/emoji.yaml`; then copy `configs/folder.yaml` for pictures of your own.",
)
console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)  # names may hold [brackets] and :colons:

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
    from lptpp import api
    from lptpp.console.result import show_result

    settings = _settings(config, overrides)
    show_result(console, Path(settings.run), api.fit(settings))


@app.command()
def evaluate(run: RunArgument, overrides: Overrides = None) -> None:
    """Print the shot table of a finished run, and write its metrics, per-class, confusion and prediction files again.

    **Examples**

    lptpp evaluate runs/emoji

    lptpp evaluate runs/emoji evaluation.shot_thresholds=[10,50]

    lptpp evaluate runs/emoji evaluation.views=five_crops evaluation.prior=training     (adds rows: docs/predict.md)

    lptpp evaluate runs/emoji evaluation.temperature=fitted     (on the validation part; `predict` can use it then)
    """
    from lptpp import api
    from lptpp.console.result import show_result

    show_result(console, run, api.evaluate(run, overrides or []))


@app.command()
def predict(
    run: RunArgument,
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, 'globs/**/*.jpg', .txt lists, .csv or .parquet tables; - is standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .csv, .jsonl or .parquet file.")] = Path(
        "predictions.csv"
    ),
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="How many classes for each image.")] = 5,
    threshold: Annotated[float, typer.Option(help="Leave the answer empty where its probability is below this.")] = 0.0,
    column: Annotated[
        str | None,
        typer.Option(help="The column of a table with paths.  [default: one called image, path, file, …]"),
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Also write the experts' features: .npy or .parquet.")] = None,
    views: Annotated[str, typer.Option(help="Average views of each image: one, flip, five_crops.")] = "one",
    temperature: Annotated[str, typer.Option(help="A number above 0, or fitted (see evaluate).")] = "1",
    prior: Annotated[
        str | None, typer.Option(help="Class frequencies to expect: uniform, training, a .csv or .json file.")
    ] = None,
    assumed: Annotated[str, typer.Option(help="What the scores assume of them: auto, or as --prior.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Images judged at once; the run's own by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace predictions of other images.")] = False,
) -> None:
    """Classify images, a few or millions; one row each, with the best classes and their probabilities.

    An image that cannot be read gets a row with the reason, and the command ends with exit status 1. After a stop, give
    the same command again: it goes on and ends with the same file.

    **Examples**

    lptpp predict runs/emoji cat.png dog.png

    lptpp predict runs/mine new_pictures/ --output new.parquet --top-k 3

    lptpp predict runs/mine table.csv --column file --threshold 0.5

    find /photos -name '*.jpg' | lptpp predict runs/mine - --views five_crops --prior expected.csv
    """
    from lptpp.console.prediction import show_summary
    from lptpp.prediction.options import Options
    from lptpp.prediction.predict import predict_paths

    options = Options(
        top_k=top_k,
        threshold=threshold,
        views=views,
        prior=prior,
        assumed=assumed,
        temperature=temperature,
        column=column,
        embeddings=embeddings,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    summary = predict_paths(run, paths, output, options)
    show_summary(console, summary, output)
    if summary.unreadable:
        raise typer.Exit(1)


@app.command()
def report(
    run: RunArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.  [default: RUN/report.html]")
    ] = None,
) -> None:
    """Write the report of a finished run: one HTML file with all figures, which opens anywhere and needs no network.

    `fit` and `evaluate` write it too; docs/report.md says how to read it.

    **Examples**

    lptpp report runs/emoji

    lptpp report runs/emoji --output emoji.html
    """
    from lptpp.report.page import write_report

    console.print(f"Report: {write_report(run, output=output)}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the table: .csv or .json.")] = None,
) -> None:
    """Print the shot tables of runs side by side, with what each row cost to train.

    Runs that differ in their seed alone are shown as one, mean ± standard deviation; the file has a line for each.

    **Example**

    lptpp compare runs/lptpp runs/lpt --output comparison.csv
    """
    from lptpp.console.comparison import comparison_table
    from lptpp.evaluation.compare import Run, flat_rows
    from lptpp.utils.io import write_csv, write_json

    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"{output} should end in .csv or .json.")
    found = [Run.read(run) for run in runs]
    console.print(comparison_table(found))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        (write_json if output.suffix == ".json" else write_csv)(output, flat_rows(found))
        console.print(f"The table is in {output}")


@app.command()
def data(
    config: ConfigArgument,
    overrides: Overrides = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder for the figure and the tables of what was found.")
    ] = Path("data_report"),
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Open every picture, or only count them.")
    ] = True,
) -> None:
    """Look at a data set before training: class counts, imbalance, parts, and what is wrong with its pictures.

    Names pictures that cannot be read (then the command ends with exit status 1), the smallest and the largest, and
    those that are there more than once: in training and test, or in two classes. docs/data tells of every kind of data.

    **Examples**

    lptpp data configs/folder.yaml data.root=my_pictures

    lptpp data configs/table.yaml data.train_list=table.csv data.label_column=species --no-pictures

    lptpp data configs/emoji.yaml --output emoji_report
    """
    from lptpp.console.data import show_data

    if not show_data(console, _settings(config, overrides), output, pictures):
        raise typer.Exit(1)


@app.command()
def export(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", help="onnx, torch or huggingface.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to write to.  [default: RUN/export/FORMAT]")
    ] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="onnx, torch: check on this picture, not on the run's own.")
    ] = None,
    license: Annotated[str | None, typer.Option(help="huggingface: the license field of the model card.")] = None,
    push: Annotated[str | None, typer.Option(help="huggingface: also upload as OWNER/NAME, private at first.")] = None,
) -> None:
    """Hand a run over: files that run without this package, or a folder for the Hugging Face Hub.

    `onnx`: the answer and each expert, for any batch size, compared with PyTorch before they appear. `torch`: a plain
    `torch.export` program. `huggingface`: tuned weights, settings and a model card; `lptpp.load` reads it again.

    **Examples**

    lptpp export runs/emoji --to onnx --output emoji_onnx

    lptpp export runs/emoji --to huggingface --license apache-2.0 --push me/emoji
    """
    from lptpp.export.write import Options, export_run

    for line in export_run(run, to, output, Options(picture or (), license, push)):
        console.print(line)


@app.command("app")
def page(
    run: RunArgument,
    port: Annotated[int, typer.Option(help="The page is at http://127.0.0.1:PORT; 0 takes any that is free.")] = 7860,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    similar: Annotated[
        bool | None,
        typer.Option(help="Show similar training pictures.  [default: up to 20,000 training images]"),
    ] = None,
) -> None:
    """Open a web page on this computer: drop pictures and see what each expert says and how they are weighed.

    Nothing is sent anywhere. Similar training pictures are looked for once and kept in the run folder. Ctrl-C ends it.

    **Examples**

    lptpp app runs/emoji --open

    lptpp app runs/mine --port 8080 --no-similar
    """
    from lptpp.app.serve import serve

    serve(run, port, similar, console.print, open_browser)


@app.command()
def sweep(
    config: ConfigArgument,
    space: Annotated[Path, typer.Option(help="A YAML file of settings and what each may be.", show_default=False)],
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option(help="How many runs, those of before included.")] = 20,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the sweep.")] = Path("runs/sweep"),
    metric: Annotated[str, typer.Option(help="A column of the shot table that trials are judged by.")] = "mean_class",
    row: Annotated[str | None, typer.Option(help="A row of the shot table.  [default: the run's answer]")] = None,
) -> None:
    """Search good settings: one run after the other, judged on the validation part, never on the test part.

    After a stop, give the same command again: it goes on within the trial it was in. Every trial renews `best.yaml` and
    `trials.csv` (docs/sweep.md).

    **Examples**

    lptpp sweep configs/emoji.yaml data.validation=0.2 --space configs/sweeps/lptpp.yaml --trials 20

    lptpp sweep configs/folder.yaml data.root=my_pictures data.validation=0.2 --space space.yaml --metric few
    """
    from lptpp.sweep.plan import make_plan
    from lptpp.sweep.search import sweep as run_trials

    plan = make_plan(config, tuple(overrides or ()), space, metric, row, output)
    best = run_trials(plan, trials)
    console.print(f"Best of {trials}: trial {best.number}, {metric} {best.value:.1f} on the validation part, by")
    for tried in best.tried:
        console.print(f"  {tried}")
    console.print(f"All trials: {output / 'trials.csv'}. To train and test it: lptpp fit {output / 'best.yaml'}")


def main() -> None:
    """Run the command line; whatever a user can mend ends in one sentence and exit status 2."""
    handler = RichHandler(console=progress_console, show_path=False, show_level=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", datefmt="[%X]", handlers=[handler])
    logging.getLogger("lptpp").setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns that its first start takes a moment
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
    from lptpp.inference.model import run_settings

    if Path(config).is_dir():
        return run_settings(Path(config), overrides or [])
    return load_settings(config, overrides or [])


if __name__ == "__main__":
    main()
