"""`lptpp app`."""

from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING, LargestMegapixels, Run, console, log
from lptpp.utils.paths import refuse_no_run


def page(
    run: Run,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The page is at http://127.0.0.1:PORT; 0: any free port.")
    ] = 7860,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    similar: Annotated[
        bool | None,
        typer.Option(help="Show similar training images.  [default: up to 20,000 training images]"),
    ] = None,
    largest_megapixels: LargestMegapixels = None,
) -> None:
    """Open a local web page: drop images and see the prediction of each expert and the scorer weights.

    No data leaves the computer. The index of similar training images is built once and stored in the run folder.
    Ctrl-C stops the server.

    **Examples**

    lptpp app runs/emoji --open

    lptpp app runs/my_images --port 8080 --no-similar
    """
    from lptpp.config.validate import check_megapixels

    refuse_no_run(run)
    check_megapixels(largest_megapixels)
    log.info(LOADING)
    from lptpp.app.serve import serve

    serve(run, port, similar, console.print, open_browser, largest_megapixels)
