"""Predictions for files, folders and lists, as a table that other programs read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from lptpp.data.folder import SUFFIXES, images_below
from lptpp.data.images import problem
from lptpp.errors import UserError
from lptpp.evaluation.rows import ranked
from lptpp.model import load
from lptpp.progress import progress_bar
from lptpp.writing import write_csv


def predict_paths(run: Path, paths: Sequence[Path], output: Path, top_k: int) -> tuple[list[dict[str, Any]], int]:
    """Classify images, write a row each to `output` (.csv or .parquet); return the rows and the number unreadable."""
    write = _writer(output)
    images = list(expand(paths))
    model = load(run)
    with progress_bar("Checking the pictures", len(images)) as bar:
        largest = model.settings.data.largest_megapixels
        reasons = [_advance(bar, problem(image, largest)) for image in images]
    good = [image for image, reason in zip(images, reasons, strict=True) if reason is None]
    found = iter(zip(*model.rank(good, top_k), strict=True)) if good else iter(())
    empty = {key: None for place in range(1, min(top_k, len(model.class_names)) + 1) for key in _columns(place)}
    rows = []
    for image, reason in zip(images, reasons, strict=True):
        best = empty if reason is not None else _best(next(found), model.class_names)
        rows.append({"image": str(image), **best, "error": reason or ""})
    output.parent.mkdir(parents=True, exist_ok=True)
    write(output, rows)
    return rows, len(images) - len(good)


def expand(paths: Iterable[Path]) -> Iterable[Path]:
    """Yield images: files as they are, those under folders, those that .txt files list one a line.

    Raises `UserError` for a path that does not exist or a folder without images.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        elif not path.is_file():
            raise UserError(f"{path} does not exist: give images, folders, or .txt lists of paths.")
        elif path.suffix.lower() == ".txt":
            yield from (Path(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
        else:
            yield path


def _in_folder(folder: Path) -> list[Path]:
    images = images_below(folder)
    if not images:
        raise UserError(f"{folder} holds no image: expected files ending in {', '.join(sorted(SUFFIXES)[:8])}, ….")
    return images


def _columns(place: int) -> tuple[str, str]:
    return f"label_{place}", f"probability_{place}"


def _best(found: tuple[torch.Tensor, torch.Tensor], class_names: list[str]) -> dict[str, Any]:
    classes, probabilities = found  # each (k,)
    return ranked(classes.tolist(), probabilities.tolist(), class_names)


def _advance(bar: Any, reason: str | None) -> str | None:
    bar.advance()
    return reason


def _writer(output: Path) -> Any:
    if output.suffix == ".csv":
        return write_csv
    if output.suffix != ".parquet":
        raise UserError(f"{output} should end in .csv or .parquet.")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError('Parquet needs an extra: pip install "lptpp[parquet]"; or choose a .csv file.') from error
    return lambda path, rows: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
