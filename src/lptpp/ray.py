"""Predictions for Ray Data, on any number of machines: `predict`, or `Classifier` in `Dataset.map_batches`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.checkpoint.folder import finished_run
from lptpp.data.dataset import EncodedImage
from lptpp.evaluation.prior import ESTIMATED
from lptpp.inference.pipeline import ImageViews, chunks, read_ahead
from lptpp.prediction.inputs import Input
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predictor_of
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.extras import extra
from lptpp.utils.text import either, listed

Columns = dict[str, np.ndarray]
IMAGES = ("image", "bytes", "path")  # usual columns of images: of read_images, of read_binary_files, of both
OF_FILES = {"column", "embeddings", "overwrite", "escape_formulas"}  # options of `lptpp predict` about its files
OPTIONS = [field.name for field in fields(PredictOptions) if field.name not in OF_FILES]
BATCH = 256  # rows that Ray hands over at once


class Classifier:
    """A callable from a batch of a Ray data set to the same rows with predictions; it loads the model once.

    The columns that it adds are those of `lptpp predict`; the column of arrays or bytes is left out of its output.

    Args:
        model: a run folder, an exported folder, or hf://owner/name, as the workers see it.
        column: the column of paths, of the bytes of image files, or of uint8 arrays (H, W, 3); by default the first
            of image, bytes and path that exists.
        options: as of `lptpp predict`: top_k, threshold, views, temperature, prior, assumed, batch_size,
            largest_megapixels.

    Raises:
        UserError: there is no such model, or an option is wrong.
    """

    def __init__(self, model: str | Path, column: str | None = None, **options: Any) -> None:
        self.column = column
        self.predictor, self.batch_size = predictor_of(Path(model), _checked(options))
        self.names = [name for name in self.predictor.columns() if name != "image"]

    def __call__(self, batch: Columns) -> Columns:
        """Return the n rows of a batch with predictions; every column is an array (n, ...).

        Raises:
            UserError: there is no column of images, or a column has the name of one that is added.
        """
        column = self._column(batch)
        rows: list[dict[str, Any]] = []
        for values, seen in read_ahead(chunks(batch[column], self.batch_size), self._read):
            rows += self.predictor.predict([Input("", "")] * len(values), seen)[0]
        kept = {name: values for name, values in batch.items() if name != column or _are_paths(values)}
        return kept | {name: _column_of(name, rows) for name in self.names}

    def _column(self, batch: Columns) -> str:
        given = listed(list(batch))
        if taken := [name for name in self.names if name in batch]:
            raise UserError(f"The data set already has the column {taken[0]}: rename it (Dataset.rename_columns).")
        found = [name for name in ([self.column] if self.column else IMAGES) if name in batch]
        if not found:
            wanted = f"column {self.column}" if self.column else f"column named {either(IMAGES)}"
            raise UserError(f"The data set has no {wanted}, but {given}: name the one of the images as `column`.")
        return found[0]

    def _read(self, value: Any) -> ImageViews | str:
        if isinstance(value, bytes):
            return self.predictor.pipeline.read(EncodedImage(value, "given as bytes"), self.predictor.decoding)
        if isinstance(value, np.ndarray):
            return self.predictor.pipeline.read(value, self.predictor.decoding)
        return self.predictor.read(Input("", "" if value is None else str(value)))


def predict(
    dataset: Any,
    model: str | Path,
    concurrency: int | tuple[int, int],
    options: Mapping[str, Any] | None = None,
    **resources: Any,
) -> Any:
    """Return a Ray data set with predictions; nothing is computed before it is read, as of `Dataset.map_batches`.

    Model and options are checked first, so that a mistake is one sentence and not the end of a worker.

    Args:
        dataset: a `ray.data.Dataset` of images.
        model: a run folder, an exported folder, or hf://owner/name; all machines need it under the same path.
        concurrency: how many copies of the model work, or the least and the most.
        options: those of `Classifier`, such as `{"top_k": 1}`.
        resources: further arguments of `Dataset.map_batches`, such as `num_gpus=1` for each copy.

    Raises:
        UserError: Ray is not installed, there is no such model, or an option is wrong.
    """
    kind = extra("ray.data", "ray", "lptpp.ray.predict").Dataset
    if not isinstance(dataset, kind):
        raise UserError(f"Expected a ray.data.Dataset, such as of ray.data.read_images, not {type(dataset).__name__}.")
    given = dict(options or {})
    _checked({name: value for name, value in given.items() if name != "column"})
    finished_run(model)
    where = str(model) if str(model).startswith("hf:") else str(Path(model).resolve())
    resources = {"batch_size": BATCH, "batch_format": "numpy", **resources}
    return dataset.map_batches(
        Classifier, fn_constructor_kwargs={"model": where, **given}, concurrency=concurrency, **resources
    )


def _checked(options: Mapping[str, Any]) -> PredictOptions:
    for name in options:
        if name not in OPTIONS:
            raise UserError(f"{name}: there is no such option of lptpp.ray; {did_you_mean(name, OPTIONS)}")
    if options.get("prior") == ESTIMATED:
        raise UserError(f"prior={ESTIMATED} needs all images at once: use `lptpp predict`, or a file of frequencies.")
    return PredictOptions(**options)


def _are_paths(values: Iterable[Any]) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _column_of(name: str, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return a column (n,): float64, nan where there is none, or texts, empty where there is none."""
    values = [row[name] for row in rows]
    if name.startswith("probability_"):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(["" if value is None else value for value in values], dtype=object)
