"""The command line. Every command imports what it needs when it runs, after its settings are checked."""

import logging
import multiprocessing
import os
import shlex
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from typer.core import TyperGroup

from lptpp.utils import processes
from lptpp.utils.disk import CannotWrite
from lptpp.utils.errors import Ended, Interrupted, StoppedAtOnce, UserError
from lptpp.utils.failures import failure
from lptpp.utils.paths import refuse_no_input, refuse_no_run, refuse_other_places, similar, suggest_files
from lptpp.utils.progress import Terminal
from lptpp.utils.progress import console as progress_console
from lptpp.utils.text import VisibleFormatter, visible
from lptpp.utils.threads import still_reading


class Commands(TyperGroup):
    """Handles Ctrl-C and wrong arguments instead of Click, with hints at settings and an example."""

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
    """Return what to write instead of an option that does not exist: a setting of this name, or a similar option."""
    from lptpp.config import Settings
    from lptpp.config.validate import settings_named

    parameters = [] if error.ctx is None else error.ctx.command.params
    takes_settings = any(parameter.name == "overrides" for parameter in parameters)
    keys = settings_named(Settings, error.option_name.lstrip("-").replace("-", "_")) if takes_settings else []
    similar = list(error.possibilities or ()) if not keys else []
    file = next((given for given in sys.argv[1:] if given.startswith(error.option_name) and Path(given).exists()), None)
    similar += [] if file is None else [f"./{file} (the file)"]
    hint = " or ".join([*(f"{key}=VALUE" for key in keys), *similar])
    advice = f"did you mean {hint}?" if hint else "see --help."
    also = " Settings are given as key=value, such as phase1.epochs=5." if takes_settings else ""
    return f"there is no option {error.option_name}: {advice}{also}"


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
console = Terminal(highlight=False, markup=False, emoji=False, soft_wrap=True)  # names may contain [brackets], :colons:

log = logging.getLogger("lptpp")

LOADING = "Loading the model …"  # logged first: importing its libraries takes seconds
TOGETHER = ("fit", "predict")  # commands for several processes
DEFAULT_OUTPUT = "predictions.csv"
STOPPED = 130  # exit status after Ctrl-C and SIGTERM
GRACE = 0.5  # seconds that threads get to finish what they read

ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of images, a preset, a settings file (YAML), or a run folder.",
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="A run folder written by `lptpp fit`.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings as key=value, such as phase1.epochs=5.", show_default=False)
]


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


@app.command()
def fit(
    config: ConfigArgument,
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
    settings = load_settings(config, overrides or [])
    processes.start(settings.shards)
    check_data_paths(settings.data)
    from lptpp import api
    from lptpp.console.result import show_result

    if time is not None:
        settings = api.fit_epochs(settings, time)
    metrics = api.fit(settings)
    if processes.is_main():
        show_result(console, Path(settings.run), metrics)
    if time is not None:
        api.tell_overrun(time, monotonic() - began)
    processes.stop()


@app.command()
def presets(
    preset: Annotated[str | None, typer.Argument(help="Print the header of this preset.", show_default=False)] = None,
) -> None:
    """List the settings that ship with the package, or print the header of one preset.

    The header describes the purpose of the preset, the hardware, the time and the score to expect, and the source of
    its values.

    **Examples**

    lptpp presets

    lptpp presets lpt_places
    """
    from lptpp.config.resolve import preset_header, presets, spaces

    if preset is not None:
        for line in preset_header(preset).splitlines():
            console.print(line)
        return
    found, searched = presets(), spaces()
    width = max(map(len, found | searched))
    console.print("Presets, for fit, data, sweep and init:")
    for name, headline in found.items():
        console.print(f"  {name:<{width}}  {headline}")
    console.print("Search spaces, for sweep --space:")
    for name, headline in searched.items():
        console.print(f"  {name:<{width}}  {headline}")


@app.command()
def backbones(
    pattern: Annotated[
        str | None,
        typer.Argument(help="Part of a name; * stands for anything. '*' lists all.", show_default=False),
    ] = None,
) -> None:
    """List pretrained backbones: kind, size, license of the weights, and whether they take prompts.

    Without a pattern, those that the package and its presets use. Every model that takes no prompts can be an expert
    without prompts (docs/backbones.md). No weights are downloaded.

    **Examples**

    lptpp backbones

    lptpp backbones dinov3

    lptpp backbones 'vit_base*clip'
    """
    from lptpp.console.backbones import show_backbones

    show_backbones(console, pattern)


@app.command()
def init(
    preset: Annotated[str, typer.Argument(help="A preset; `lptpp presets` lists them.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="The settings file to write.", show_default=False)],
) -> None:
    """Write a commented copy of a preset to edit; an existing file is not overwritten.

    **Examples**

    lptpp init folder mine.yaml

    lptpp init sweeps/lptpp space.yaml     (a search space for `lptpp sweep`)
    """
    from lptpp.config.resolve import write_copy

    write_copy(preset, output)
    console.print(f"Wrote {output}.")


@app.command()
def data(
    config: ConfigArgument,
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
    from lptpp.console.data import show_data

    if not show_data(console, settings, output, images):
        raise typer.Exit(1)


@app.command()
def evaluate(
    run: RunArgument,
    overrides: Overrides = None,
    on: Annotated[
        Path | None,
        typer.Option(
            "--on",
            help="Evaluate other labeled images: a folder of class folders, a .csv, .tsv or .parquet table, a .txt"
            " list, or a .tar shard.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="With --on: the folder in RUN/evaluations.  [default: the name of the folder or file]"),
    ] = None,
) -> None:
    """Evaluate a finished run again: print its tables, and rewrite its metrics, predictions and report.

    The images must be those of the run: added, removed or changed images are an error. With --on, all labeled images
    there are evaluated; training images per class and shot groups remain those of the run.

    **Examples**

    lptpp evaluate runs/emoji

    lptpp evaluate runs/emoji evaluation.shot_thresholds=[10,50]

    lptpp evaluate runs/emoji evaluation.views=five_crops evaluation.prior=training     (adds rows to the table)

    lptpp evaluate runs/emoji evaluation.temperature=fitted     (fits on the validation split; predict can then use it)

    lptpp evaluate runs/my_images --on new_images/
    """
    from lptpp.config import run_settings
    from lptpp.config.validate import check_environment

    check_environment(run_settings(run, overrides or []))
    if name is not None and on is None:
        raise UserError("--name names the evaluation of other images: add --on FOLDER.")
    if on is not None and not on.exists():
        refuse_other_places(on)
        raise UserError(f"--on: {on} does not exist: {similar(on, suggest_files(on))}")
    log.info(LOADING)
    from lptpp import api
    from lptpp.console.result import show_new_images, show_result

    if on is None:
        show_result(console, run, api.evaluate(run, overrides or []))
    else:
        show_new_images(console, api.evaluate_on(run, on, overrides or [], name), run, on)


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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .csv, .jsonl or .parquet file.  [default: none for image files, else predictions.csv]",
        ),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="Number of classes per image.")] = 5,
    threshold: Annotated[
        float, typer.Option(help="Leave the prediction empty if its probability is lower than this.")
    ] = 0.0,
    column: Annotated[
        str | None,
        typer.Option(help="Column of a table that contains the paths.  [default: one called image, path, file, …]"),
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Also write the experts' features: .npy or .parquet.")] = None,
    views: Annotated[str, typer.Option(help="Average views of each image: one, flip, five_crops.")] = "one",
    temperature: Annotated[str, typer.Option(help="A number above 0, or fitted (see evaluate).")] = "1",
    prior: Annotated[
        str | None,
        typer.Option(
            help="Expected class frequencies: uniform, training, estimated (from these images), a .csv or .json file."
        ),
    ] = None,
    assumed: Annotated[
        str, typer.Option(help="Class frequencies that the scores assume: auto, or as --prior.")
    ] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(help="Images per forward pass.  [default: as in the settings of the run]")
    ] = None,
    largest_megapixels: Annotated[
        float | None,
        typer.Option(help="Refuse images with more megapixels to decode.  [default: as in the settings of the run]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace predictions of other images.")] = False,
    escape_formulas: Annotated[
        bool,
        typer.Option(help="In a .csv file, an apostrophe before names that a spreadsheet would take for formulas."),
    ] = True,
) -> None:
    """Classify images, from one to millions: one row per image, with the best classes and their probabilities.

    Predictions of image files are printed; those of folders, globs, lists and tables are written to predictions.csv.
    An unreadable image gets a row with the reason, and the exit status is 1. After an interruption, repeat the
    command to resume. Start it several times, on any machines that share a disk, and the processes share the work.

    **Examples**

    lptpp predict runs/emoji cat.png dog.png

    lptpp predict runs/my_images new_images/ --output new.parquet --top-k 3

    lptpp predict runs/my_images table.csv --column file --threshold 0.5

    find /photos -name '*.jpg' | lptpp predict runs/my_images - --views five_crops --prior expected.csv
    """
    refuse_no_run(run)
    for path in paths:
        refuse_no_input(path)
    file, several = output or Path(DEFAULT_OUTPUT), processes.launched() > 1
    if several:
        _refuse_for_several(paths, file, overwrite)
    processes.apart()
    log.info(LOADING)
    from lptpp.console.result import show_predictions, show_summary
    from lptpp.prediction.inputs import are_single_images
    from lptpp.prediction.options import PredictOptions
    from lptpp.prediction.predict import predict_images, predict_paths

    options = PredictOptions(
        top_k=top_k,
        threshold=threshold,
        views=views,
        prior=prior,
        assumed=assumed,
        temperature=temperature,
        column=column,
        embeddings=embeddings,
        batch_size=batch_size,
        largest_megapixels=largest_megapixels,
        overwrite=overwrite,
        escape_formulas=escape_formulas,
    )
    if output is None and are_single_images(paths) and not several:
        unreadable = show_predictions(console, predict_images(run, paths, options))
    else:
        summary = predict_paths(run, paths, file, options)
        if summary is None:  # another process of several writes the file
            return
        show_summary(console, summary, file)
        unreadable = summary.unreadable
    if unreadable:
        raise typer.Exit(1)


@app.command("app")
def page(
    run: RunArgument,
    port: Annotated[int, typer.Option(help="The page is at http://127.0.0.1:PORT; 0: any free port.")] = 7860,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    similar: Annotated[
        bool | None,
        typer.Option(help="Show similar training images.  [default: up to 20,000 training images]"),
    ] = None,
    largest_megapixels: Annotated[
        float | None,
        typer.Option(help="Refuse images with more megapixels to decode.  [default: as in the settings of the run]"),
    ] = None,
) -> None:
    """Open a local web page: drop images and see the prediction of each expert and the scorer weights.

    No data leaves the computer. The index of similar training images is built once and stored in the run folder.
    Ctrl-C stops the server.

    **Examples**

    lptpp app runs/emoji --open

    lptpp app runs/my_images --port 8080 --no-similar
    """
    refuse_no_run(run)
    log.info(LOADING)
    from lptpp.app.serve import serve

    serve(run, port, similar, console.print, open_browser, largest_megapixels)


def _refuse_for_several(paths: list[Path], output: Path, overwrite: bool) -> None:
    """Raise `UserError` for what only one process can predict."""
    if Path("-") in paths:
        raise UserError("Only one process can read standard input: write the paths to a list, and pass the list.")
    if overwrite:
        raise UserError(
            "With several processes, --overwrite could compute again what one of them has just finished: remove"
            f" {output} instead."
        )


@app.command()
def report(
    run: RunArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.  [default: RUN/report.html]")
    ] = None,
) -> None:
    """Write the report of a finished run: one HTML file with all figures, for use offline.

    `fit` and `evaluate` write it too.

    **Examples**

    lptpp report runs/emoji

    lptpp report runs/emoji --output emoji.html
    """
    refuse_no_run(run)
    from lptpp.report.page import write_report

    console.print(f"Report: {write_report(run, output=output)}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the table: .csv or .json.")] = None,
) -> None:
    """Compare the tables of several runs, with the training cost of each row.

    Runs that differ only in their seed are shown as mean ± standard deviation; the file has one line for each run.

    **Example**

    lptpp compare runs/lptpp runs/lpt --output comparison.csv
    """
    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"{output}: expected a .csv or .json file.")
    for run in runs:
        refuse_no_run(run)
    from lptpp.console.tables import comparison_table
    from lptpp.evaluation.compare import ComparedRun, flat_rows
    from lptpp.evaluation.leader import leader
    from lptpp.utils.disk import make_folder
    from lptpp.utils.io import write_csv, write_json

    found = [ComparedRun.read(run) for run in runs]
    console.print(comparison_table(found))
    for sentence in leader(found):
        console.print(sentence)
    if output is not None:
        make_folder(output.parent)
        (write_json if output.suffix == ".json" else write_csv)(output, flat_rows(found))
        console.print(f"Table: {output}")


@app.command()
def sweep(
    config: ConfigArgument,
    space: Annotated[
        str, typer.Option(help="A YAML file of settings and their values, or a search space.", show_default=False)
    ],
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option(help="Number of trials, including earlier ones.")] = 20,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the sweep.")] = Path("runs/sweep"),
    metric: Annotated[str, typer.Option(help="The column of the table to optimize.")] = "mean_class",
    row: Annotated[str | None, typer.Option(help="The row of the table.  [default: the final prediction]")] = None,
) -> None:
    """Search hyperparameters with Optuna: trains one run per trial and compares them on the validation split.

    The test split is never used. After an interruption, repeat the command to resume within the current trial. Every
    trial updates best.yaml and trials.csv.

    **Examples**

    lptpp sweep emoji data.validation=0.2 --space lptpp --trials 20

    lptpp sweep my_images/ data.validation=0.2 --space space.yaml --metric few
    """
    from lptpp.config import load_settings
    from lptpp.config.paths import check_data_paths
    from lptpp.config.resolve import space_file

    path = space_file(space)
    check_data_paths(load_settings(config, overrides or []).data)
    from lptpp.sweep.plan import make_plan
    from lptpp.sweep.search import sweep as run_trials

    best = run_trials(make_plan(config, tuple(overrides or ()), path, metric, row, output), trials)
    console.print(f"Best of {trials} trials: trial {best.number}, {metric} {best.value:.1f} on the validation split")
    for override in best.overrides:
        console.print(f"  {override}")
    console.print(f"All trials: {output / 'trials.csv'}. To train and test the best: lptpp fit {output / 'best.yaml'}")


@app.command()
def export(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", help="onnx, torch or huggingface.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to write to.  [default: RUN/export/FORMAT]")
    ] = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="onnx, torch: verify on this image.  [default: images of the run]")
    ] = None,
    license: Annotated[str | None, typer.Option(help="huggingface: license field of the model card.")] = None,
    push: Annotated[
        str | None, typer.Option(help="huggingface: also upload as OWNER/NAME; a new repository is private.")
    ] = None,
) -> None:
    """Export a run to files that do not need this package, or to a folder for the Hugging Face Hub.

    `onnx`: the mixture and each expert, for any batch size, verified against PyTorch. `torch`: `torch.export`
    programs. `huggingface`: trained weights, settings and a model card, which `lptpp.load` reads.

    **Examples**

    lptpp export runs/emoji --to onnx --output emoji_onnx

    lptpp export runs/emoji --to huggingface --license apache-2.0 --push me/emoji
    """
    refuse_no_run(run)
    log.info(LOADING)
    from lptpp.export.write import ExportOptions, export_run

    for line in export_run(run, to, output, ExportOptions(image or (), license, push)):
        console.print(line)


def main() -> None:
    """Run the command line; a `UserError` is printed as one sentence, with exit status 2."""
    handler = RichHandler(console=progress_console, show_path=False, show_level=False, markup=False)
    handler.setFormatter(VisibleFormatter("%(message)s", "[%X]"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("lptpp").setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns about the time of its first start
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is computed is kept
    try:
        app(prog_name="lptpp")  # Click would guess `python -m lptpp` in some installations
    except UserError as error:
        leave(2, *error.within("Error").args)
    except Interrupted:
        leave(STOPPED, _stopped())
    except CannotWrite as error:
        leave(1, f"Error: {error}")
    except OSError as error:
        leave(1, f"Error: {error}. Check the disk or the file, then repeat the command.")
    except (MemoryError, RuntimeError) as error:
        sentence = failure(error)
        if sentence is None:
            processes.first_to_report()  # by its traceback
            raise
        leave(1, f"Error: {sentence}")
    except (StoppedAtOnce, KeyboardInterrupt):
        leave(STOPPED, f"Stopped at once; {_kept(sys.argv[1:2])}.")
    except Ended as error:
        leave(
            1,
            f"Another process of this run has ended ({error}). The last checkpoint is kept: repeat the command.",
            wait=processes.HEARD,
        )
    except Exception:
        processes.first_to_report()  # by its traceback
        raise


def leave(status: int, *lines: str, wait: float = 0.0) -> None:
    """End the command with a status; the first of several processes prints its message, after waiting some seconds."""
    if processes.first_to_report(wait):
        print("\n".join(map(visible, lines)), file=sys.stderr, flush=True)
    if status == STOPPED and still_reading(GRACE):
        _leave_threads()
    sys.exit(status)


def _leave_threads() -> None:
    """End a stopped command although threads still read, for which the interpreter would wait; all files are closed."""
    for worker in multiprocessing.active_children():
        worker.kill()
    sys.stdout.flush()
    os._exit(STOPPED)


def _kept(command: list[str]) -> str:
    """Return what a command that is stopped at once leaves."""
    if command == ["export"]:
        return "the run is unchanged, and no part of the export is left"
    return "the last checkpoint, if there is one, is kept"


def _stopped() -> str:
    if processes.count() > 1:
        return "Stopped and saved. To resume, repeat the command, with any number of processes that divides shards."
    return f"Stopped and saved. To resume: {shlex.join(['lptpp', *sys.argv[1:]])}"


if __name__ == "__main__":
    main()
