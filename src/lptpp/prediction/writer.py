"""The output of a prediction: rows as CSV, JSON lines or parquet, features as .npy or parquet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from lptpp.data.decode import Decoding
from lptpp.data.sources.locate import URL
from lptpp.evaluation.files import ranked
from lptpp.evaluation.tta import Adjustment
from lptpp.inference.model import Model
from lptpp.inference.pipeline import ImageViews
from lptpp.prediction.inputs import Input, file_state
from lptpp.utils.disk import atomic_write
from lptpp.utils.extras import extra
from lptpp.utils.io import Rows, write_csv, write_json_lines, write_parquet

PredictionRow = dict[str, Any]


class Predictor:
    """A model, the adjustment of its probabilities, and the content of a row.

    The prediction of a row is its best class, or None if the probability of that class is below `threshold`.
    """

    def __init__(
        self,
        model: Model,
        adjust: Adjustment,
        top_k: int,
        threshold: float,
        batch_size: int | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        self.model = model
        self.pipeline = model.pipeline(adjust.views, batch_size)
        self.adjust = adjust
        self.top_k = min(top_k, len(model.class_names))
        self.threshold = threshold
        self.decoding = decoding or model.decoding
        self.widths = {name: expert.backbone.feature_width for name, expert in model.mixture.experts.items()}

    def columns(self) -> list[str]:
        """Return the names of a row's columns."""
        places = range(1, self.top_k + 1)
        return ["image", "prediction", *(f"{kind}_{k}" for k in places for kind in ("label", "probability")), "error"]

    def read(self, one: Input) -> ImageViews | str:
        """Return the views of an input, or the reason why it is unreadable."""
        if not one.path:
            return "no path is given"
        if URL.match(one.path) and file_state(one.path) is None:
            return "is a URL: download the image"
        return self.pipeline.read(Path(one.path), self.decoding)

    def predict(
        self, inputs: Sequence[Input], seen: Sequence[ImageViews | str]
    ) -> tuple[list[PredictionRow], np.ndarray]:
        """Return the row and the unit features (n, ΣF) of n inputs; the features of unreadable images are nan."""
        rows = [dict.fromkeys(self.columns()) | {"image": printable(one.name)} for one in inputs]
        features = np.full((len(inputs), sum(self.widths.values())), np.nan, np.float32)
        good = [place for place, views in enumerate(seen) if not isinstance(views, str)]
        for place in set(range(len(inputs))) - set(good):
            rows[place]["error"] = seen[place]
        if good:
            found, features[good] = self._found([seen[place] for place in good])
            for place, row in zip(good, found, strict=True):
                rows[place] |= row
        return rows, features

    def _found(self, seen: list[Any]) -> tuple[list[PredictionRow], np.ndarray]:
        output = self.pipeline.forward(seen)
        best = self.adjust(output.of_views).topk(self.top_k, dim=-1)
        rows = [
            ranked(*pair, self.model.class_names)
            for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
        for row in rows:
            row["prediction"] = row["label_1"] if row["probability_1"] >= self.threshold else None
        return rows, torch.cat([*output.features.values()], dim=1).numpy()


def printable(name: str) -> str:
    """Return a name as valid Unicode: bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


BLOCK = 4096  # rows of features written at once


class Matrix(Protocol):
    """An array (n, width), or what gives one (m, width) for a slice."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def write_rows(path: Path, rows: Rows, names: Sequence[str], formulas: bool = False) -> None:
    """Write rows with the columns `names`; `formulas` as `lptpp.utils.io.write_csv`."""
    if path.suffix == ".csv":
        write_csv(path, rows, names, formulas)
    elif path.suffix == ".jsonl":
        write_json_lines(path, rows)
    else:
        pyarrow = extra("pyarrow", "parquet", f"{path}: parquet")
        kinds = {name: pyarrow.float64() if name.startswith("probability_") else pyarrow.string() for name in names}
        write_parquet(path, rows, pyarrow.schema(kinds.items()))


def write_features(path: Path, images: Iterable[str], features: Matrix, widths: Mapping[str, int]) -> None:
    """Write features (n, ΣF), concatenated over the experts; nan for an unreadable image.

    A .npy file contains this array, in float32. A parquet file has the names of the images and, for each expert in
    `widths`, a column of lists, null for an unreadable image.
    """
    if path.suffix == ".npy":
        with atomic_write(path, "wb") as file:
            shape = (len(features), sum(widths.values()))
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(features), BLOCK):
                file.write(features[start : start + BLOCK].astype("<f4").tobytes())
    else:
        _write_feature_columns(path, iter(images), features, widths)


def _write_feature_columns(path: Path, images: Iterator[str], features: Matrix, widths: Mapping[str, int]) -> None:
    pyarrow = extra("pyarrow", "parquet", f"{path}: parquet")
    parquet = extra("pyarrow.parquet", "parquet", f"{path}: parquet")
    kinds = {name: pyarrow.list_(pyarrow.float32(), width) for name, width in widths.items()}
    schema = pyarrow.schema([("image", pyarrow.string()), *kinds.items()])
    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for start in range(0, len(features), BLOCK):
            block = features[start : start + BLOCK]
            names = pyarrow.array(islice(images, len(block)), pyarrow.string())
            writer.write_table(pyarrow.Table.from_arrays([names, *_lists(pyarrow, block, widths)], schema=schema))


def _lists(pyarrow: Any, block: np.ndarray, widths: Mapping[str, int]) -> Iterator[Any]:
    unreadable = pyarrow.array(np.isnan(block[:, 0]))
    for part, width in zip(np.split(block, np.cumsum([*widths.values()])[:-1], axis=1), widths.values(), strict=True):
        values = pyarrow.array(np.ascontiguousarray(part).reshape(-1))
        yield pyarrow.FixedSizeListArray.from_arrays(values, width, mask=unreadable)
