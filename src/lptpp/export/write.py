"""Export a finished run; files appear in the output folder together, after all of them passed their check."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lptpp.export.hugging_face import push, token, write_hugging_face
from lptpp.export.onnx_files import write_onnx
from lptpp.export.options import HUGGING_FACE, NO_OPTIONS, ExportOptions, check_options
from lptpp.export.samples import sample_images, samples
from lptpp.export.torch_program import write_torch
from lptpp.inference.model import load
from lptpp.utils.disk import CannotWrite, keeping, make_folder, remove_partials, writing
from lptpp.utils.errors import UserError

WRITERS = {"onnx": write_onnx, "torch": write_torch}
SAFE = "The run is unchanged, and no part of the export is left."


def export_run(run: Path, form: str, output: Path | None = None, options: ExportOptions = NO_OPTIONS) -> Iterator[str]:
    """Write a run to the folder `output`, by default RUN/export/FORMAT; yield lines about the written files.

    Raises:
        UserError: an unknown format, an option of another format, or a file that fails its check.
    """
    check_options(form, options)
    if options.push is not None:
        token()  # fails before any work is done
    output = output or _default_output(run, form)
    with appearing(output) as folder:
        if form == HUGGING_FACE:
            name = options.push or run.resolve().name
            yield from write_hugging_face(run, folder, name, options.license or "unknown")
        else:
            model = load(run, device="cpu")
            expected = samples(model.mixture, sample_images(model.settings, options.images))
            yield from WRITERS[form](model, expected, folder)
    yield f"Written to {output}"
    if options.push is not None:
        yield f"Pushed to {push(output, options.push)} as a private model; change its visibility there."


@contextmanager
def appearing(output: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files move to `output` when the block ends, and are removed if it fails."""
    if output.exists() and not output.is_dir():
        raise UserError(f"--output: {output} is a file; expected a folder.")
    make_folder(output.parent)
    with keeping(SAFE), writing(output), _temporary(output) as temporary:
        try:
            yield temporary
        except CannotWrite as error:
            error.filename = str(output)  # users do not know the temporary folder
            raise
        make_folder(output)
        for path in sorted(temporary.iterdir()):
            path.replace(output / path.name)


@contextmanager
def _temporary(output: Path) -> Iterator[Path]:
    """Yield a new folder next to `output`; those of killed processes are removed first."""
    remove_partials(output.parent, output.name)
    folder = output.with_name(f".{output.name}.{os.getpid()}.partial")
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _default_output(run: Path, form: str) -> Path:
    if not run.is_dir():
        raise UserError(f"{run} is not a folder; expected a run folder written by `lptpp fit`, or set --output.")
    return run / "export" / form
