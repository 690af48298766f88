"""`lptpp predict`."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING, LargestMegapixels, Run, console, log
from lptpp.prediction.suffixes import TABLES, check_suffix
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.paths import refuse_no_input, refuse_no_run, refuse_swapped
from lptpp.utils.text import number_hint

DEFAULT_OUTPUT = "predictions.csv"

Paths = Annotated[
    list[Path],
    typer.Argument(
        help="Images, folders, 'globs/**/*.jpg', .txt lists, .csv or .parquet tables; - is standard input.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="A .csv, .jsonl or .parquet file.  [default: none for image files, else predictions.csv]"
    ),
]
TopK = Annotated[int, typer.Option("--top-k", "-k", help="Number of classes per image.")]
Threshold = Annotated[
    str, typer.Option(metavar="FLOAT", help="Leave the prediction empty if its probability is lower than this.")
]
Column = Annotated[
    str | None,
    typer.Option(help="Column of a table that contains the paths.  [default: one called image, path, file, …]"),
]
Embeddings = Annotated[Path | None, typer.Option(help="Also write the experts' features: .npy or .parquet.")]
Views = Annotated[str, typer.Option(help="Average views of each image: one, flip, five_crops.")]
Temperature = Annotated[str, typer.Option(help="A number above 0, or fitted (see evaluate).")]
Prior = Annotated[
    str | None,
    typer.Option(
        help="Expected class frequencies: uniform, training, estimated (from these images), a .csv or .json file."
    ),
]
Assumed = Annotated[str, typer.Option(help="Class frequencies that the scores assume: auto, or as --prior.")]
BatchSize = Annotated[
    int | None, typer.Option(help="Images per forward pass.  [default: as in the settings of the run]")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace predictions of other images.")]
EscapeFormulas = Annotated[
    bool, typer.Option(help="In a .csv file, an apostrophe before names that a spreadsheet would take for formulas.")
]


def predict(
    run: Run,
    paths: Paths,
    output: Output = None,
    top_k: TopK = 5,
    threshold: Threshold = "0",
    column: Column = None,
    embeddings: Embeddings = None,
    views: Views = "one",
    temperature: Temperature = "1",
    prior: Prior = None,
    assumed: Assumed = "auto",
    batch_size: BatchSize = None,
    largest_megapixels: LargestMegapixels = None,
    overwrite: Overwrite = False,
    escape_formulas: EscapeFormulas = True,
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
    refuse_swapped(run, paths)
    refuse_no_run(run)
    for path in paths:
        refuse_no_input(path)
    if output is not None:
        check_suffix(output, TABLES)
    from lptpp.prediction.options import PredictOptions

    options = PredictOptions(
        top_k=top_k,
        threshold=_probability(threshold),
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
    file, several = output or Path(DEFAULT_OUTPUT), processes.launched() > 1
    if several:
        _refuse_for_several(paths, file, overwrite)
    processes.apart()
    log.info(LOADING)
    from lptpp.console.result import show_predictions, show_summary
    from lptpp.prediction.inputs import are_single_images
    from lptpp.prediction.predict import predict_images, predict_paths

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


def _refuse_for_several(paths: list[Path], output: Path, overwrite: bool) -> None:
    """Raise `UserError` for what only one process can predict."""
    if Path("-") in paths:
        raise UserError("Only one process can read standard input: write the paths to a list, and pass the list.")
    if overwrite:
        raise UserError(
            "With several processes, --overwrite could compute again what one of them has just finished: remove"
            f" {output} instead."
        )


def _probability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--threshold {text}: expected a probability between 0 and 1{number_hint(text)}.") from None
