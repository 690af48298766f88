"""`lptpp evaluate`, `lptpp report` and `lptpp compare`: the results of finished runs."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING, LOADING_RESULTS, Overrides, Run, console, log
from lptpp.utils.errors import UserError
from lptpp.utils.paths import refuse_no_run, refuse_other_places, refuse_unlabeled, similar, suggest_files


def evaluate(
    run: Run,
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
    from lptpp.config.validate import check_files
    from lptpp.evaluation.changeable import CHANGEABLE, CHANGEABLE_ON, check_changeable

    check_changeable(overrides or [], CHANGEABLE if on is None else CHANGEABLE_ON)
    check_files(run_settings(run, overrides or []))
    if name is not None and on is None:
        raise UserError("--name names the evaluation of other images: add --on FOLDER.")
    if on is not None and not on.exists():
        refuse_other_places(on)
        raise UserError(f"--on: {on} does not exist: {similar(on, suggest_files(on))}")
    if on is not None and on.is_dir() and not any(one.is_dir() for one in on.iterdir()):
        refuse_unlabeled(on, "--on: ")
    log.info(LOADING)
    from lptpp import api
    from lptpp.console.result import show_new_images, show_result

    if on is None:
        show_result(console, run, api.evaluate(run, overrides or []))
    else:
        show_new_images(console, api.evaluate_on(run, on, overrides or [], name), run, on)


def report(
    run: Run,
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
    log.info(LOADING_RESULTS)
    from lptpp.report.page import write_report

    console.print(f"Report: {write_report(run, output=output)}")


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the table: .csv or .json.")] = None,
) -> None:
    """Compare the tables of several runs, with the training cost of each row and the settings that differ.

    Runs that differ only in their seed are shown as mean ± standard deviation; the file has one line for each run.

    **Example**

    lptpp compare runs/lptpp runs/lpt --output comparison.csv
    """
    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"{output}: expected a .csv or .json file.")
    for run in runs:
        refuse_no_run(run)
    log.info(LOADING_RESULTS)
    from lptpp.console.tables import comparison_table
    from lptpp.evaluation.compare import ComparedRun, flat_rows
    from lptpp.evaluation.leader import leader
    from lptpp.evaluation.settings import different_settings
    from lptpp.utils.disk import make_folder
    from lptpp.utils.io import write_csv, write_json

    found = [ComparedRun.read(run) for run in runs]
    table, sentences = comparison_table(found), [*different_settings(found), *leader(found)]
    console.print(table)
    for sentence in sentences:
        console.print(sentence)
    if output is not None:
        make_folder(output.parent)
        (write_json if output.suffix == ".json" else write_csv)(output, flat_rows(found))
        console.print(f"Table: {output}")
