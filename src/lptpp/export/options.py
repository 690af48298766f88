"""The formats of an export and their options; wrong ones are refused before PyTorch is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lptpp.utils.errors import UserError, did_you_mean

PROGRAMS, HUGGING_FACE = ("onnx", "torch"), "huggingface"
FORMATS = (*PROGRAMS, HUGGING_FACE)


@dataclass(frozen=True)
class ExportOptions:
    """Options of single formats."""

    images: Sequence[Path] = ()  # onnx, torch: sample images for the check; some of the run's data set by default
    license: str | None = None  # huggingface
    push: str | None = None  # huggingface: OWNER/NAME


NO_OPTIONS = ExportOptions()


def check_options(form: str, options: ExportOptions) -> None:
    """Raise `UserError` for an unknown format, or an option of another one."""
    if form not in FORMATS:
        raise UserError(f"--to {form}: {did_you_mean(form, FORMATS)}")
    if form in PROGRAMS and (options.push or options.license):
        raise UserError(f"--push and --license require --to huggingface, not --to {form}.")
    if form == HUGGING_FACE and options.images:
        raise UserError("--image requires --to onnx or --to torch; a Hugging Face folder is not checked on images.")
