"""`lptpp export`."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING, Run, console, log
from lptpp.utils.paths import refuse_no_run


def export(
    run: Run,
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
    from lptpp.export.options import ExportOptions, check_options

    options = ExportOptions(image or (), license, push)
    refuse_no_run(run)
    check_options(to, options)
    log.info(LOADING)
    from lptpp.export.write import export_run

    for line in export_run(run, to, output, options):
        console.print(line)
