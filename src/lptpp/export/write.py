"""Export a finished run in one of the formats; files appear in their place together, once all are good."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lptpp.export.hugging_face import push, token, write_hugging_face
from lptpp.export.onnx_files import write_onnx
from lptpp.export.samples import sample_images, samples
from lptpp.export.torch_program import write_torch
from lptpp.inference.model import load
from lptpp.utils.errors import UserError, did_you_mean

PROGRAMS = {"onnx": write_onnx, "torch": write_torch}
FORMATS = (*PROGRAMS, "huggingface")


@dataclass(frozen=True)
class Options:
    """What a format may be told."""

    pictures: Sequence[Path] = ()  # onnx, torch: to be checked on; the run's own by default
    license: str | None = None  # huggingface
    push: str | None = None  # huggingface: owner/name


def export_run(run: Path, form: str, output: Path | None = None, options: Options = Options()) -> Iterator[str]:
    """Write a run into the folder `output`, by default RUN/export/FORMAT; yield lines about what was written.

    Raises `UserError` for an unknown format, an option of another one, or a file that does not pass its check.
    """
    _check(form, options)
    output = output or _beside(run, form)
    with appearing(output) as folder:
        if form == "huggingface":
            name = options.push or output.resolve().name
            yield from write_hugging_face(run, folder, name, options.license or "unknown")
        else:
            model = load(run, device="cpu")
            truth = samples(model.mixture, sample_images(model.settings, options.pictures))
            yield from PROGRAMS[form](model, truth, folder)
    yield f"Written to {output}"
    if options.push is not None:
        yield f"Pushed to {push(output, options.push)}, private until you change that there"


@contextmanager
def appearing(output: Path) -> Iterator[Path]:
    """Give a folder to write to; its files move into `output` when the block ends, and vanish where it fails."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: name a folder to export to.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        yield Path(beside)
        output.mkdir(exist_ok=True)
        for path in sorted(Path(beside).iterdir()):
            path.replace(output / path.name)


def _beside(run: Path, form: str) -> Path:
    if not run.is_dir():
        raise UserError(f"{run} is no folder: name a run that `lptpp fit` made, or the place to write to by --output.")
    return run / "export" / form


def _check(form: str, options: Options) -> None:
    if form not in FORMATS:
        raise UserError(f"--to {form}: {did_you_mean(form, FORMATS)}")
    if form in PROGRAMS and (options.push or options.license):
        raise UserError(f"--push and --license go with --to huggingface, not --to {form}.")
    if form == "huggingface" and options.pictures:
        raise UserError("--picture goes with --to onnx and --to torch: a Hugging Face folder needs no check.")
    if options.push is not None:
        token()  # asked for before anything is done
