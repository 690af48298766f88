"""Predictions for any number of images, batch by batch; an interrupted prediction resumes."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lptpp.evaluation.calibration import read_fitted
from lptpp.evaluation.prior import ESTIMATED
from lptpp.evaluation.tta import Adjustment, adjustment, warn_about_prior, with_estimate
from lptpp.inference.model import load
from lptpp.inference.pipeline import chunks, read_ahead
from lptpp.prediction.inputs import expand, read_listing, write_listing
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.resume import INPUTS, NEW_INPUTS, Store, alone, begin, finish, partial, summary_of
from lptpp.prediction.writer import TABLES, PredictionRow, Predictor, check_suffix, write_features, write_rows
from lptpp.utils.disk import keeping, make_folder
from lptpp.utils.errors import Interrupted
from lptpp.utils.progress import Bar, progress_bar

log = logging.getLogger("lptpp")
EXAMPLES = 10  # rows of each kind that a summary keeps


@dataclass
class Summary:
    """The numbers of rows and of unreadable images, and the first rows of each kind."""

    rows: int = 0
    unreadable: int = 0
    predicted: list[PredictionRow] = field(default_factory=list)
    failed: list[PredictionRow] = field(default_factory=list)

    def counting(self, rows: Iterator[PredictionRow], bar: Bar) -> Iterator[PredictionRow]:
        """Yield the rows and count them."""
        for row in rows:
            of_its_kind = self.predicted if row["error"] is None else self.failed
            if len(of_its_kind) < EXAMPLES:
                of_its_kind.append(row)
            self.rows += 1
            self.unreadable += row["error"] is not None
            bar.advance()
            yield row


def predict_paths(run: Path, paths: Sequence[Path], output: Path, options: PredictOptions) -> Summary:
    """Write one row for each image that the paths stand for to `output`: .csv, .jsonl or .parquet.

    If the same prediction was interrupted before, it resumes, and the output has the same bytes.

    Raises:
        UserError: invalid paths or options, or an output of another prediction.
        Interrupted: the user stopped it; the computed rows are kept.
        CannotWrite: the disk is full or read-only; the computed rows are kept.
    """
    with keeping(f"Predictions resume from the last complete batch in {partial(output)}, if there is one."):
        return _predicted(run, paths, output, options)


def _predicted(run: Path, paths: Sequence[Path], output: Path, options: PredictOptions) -> Summary:
    check_suffix(output, TABLES)
    predictor, chunk = predictor_of(run, options)
    with alone(output) as folder:
        inputs = write_listing(folder / NEW_INPUTS, expand(paths, options.column))
        identity = {
            "model": predictor.model.mixture.fingerprint(),
            "inputs": inputs,
            "options": options.deciding(predictor.adjust, chunk),
        }
        outputs = [output] if options.embeddings is None else [output, options.embeddings]
        if not begin(outputs, identity, options.overwrite):
            log.info("%s already contains these predictions; use --overwrite to compute them again.", output)
            return Summary(**summary_of(output))
        if options.prior == ESTIMATED:
            predictor.adjust = _estimated(predictor, folder / INPUTS, chunk, inputs["count"])
        store = Store(folder, chunk, inputs["count"], sum(predictor.widths.values()) if options.embeddings else 0)
        _compute(predictor, store, folder / INPUTS)
        summary = _write(predictor, store, outputs, not options.escape_formulas)
        finish(output, identity, asdict(summary))
    return summary


def predict_images(run: Path, paths: Sequence[Path], options: PredictOptions) -> list[dict[str, Any]]:
    """Return one row for each image file; nothing is written except the embeddings, if asked for.

    Raises:
        UserError, Interrupted: as `predict_paths`.
    """
    with TemporaryDirectory(prefix="lptpp-predict-") as folder:
        output = Path(folder) / "rows.jsonl"
        _predicted(run, paths, output, options)
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def predictor_of(run: Path, options: PredictOptions) -> tuple[Predictor, int]:
    """Return the predictor for the options, and its batch size in images."""
    model = load(run)
    settings = options.over(model.settings)

    def fitted() -> float:
        return read_fitted(run, model.mixture.fingerprint()).temperature

    adjust = adjustment(settings, model.class_names, model.counts, fitted)
    warn_about_prior(settings, adjust, model.counts)
    decoding = options.decoding(model.decoding)
    predictor = Predictor(model, adjust, options.top_k, options.threshold, options.batch_size, decoding)
    return predictor, predictor.pipeline.batch_size


def _estimated(predictor: Predictor, listing: Path, size: int, total: int) -> Adjustment:
    """Return the adjustment with class frequencies estimated from all readable inputs, the same at each start."""

    def probabilities() -> Iterator[torch.Tensor]:
        with progress_bar("Estimating class frequencies", total) as bar:
            for chunk, seen in read_ahead(chunks(read_listing(listing, 0), size), predictor.read):
                if good := [views for views in seen if not isinstance(views, str)]:
                    yield predictor.pipeline.forward(good).of_views
                bar.advance(len(chunk))

    return with_estimate(predictor.adjust, probabilities(), total, predictor.model.class_names)


def _compute(predictor: Predictor, store: Store, listing: Path) -> None:
    """Predict the remaining inputs."""
    if store.done:
        log.info("Resuming: %d of %d images are done.", store.done, store.total)
    inputs = chunks(read_listing(listing, store.done), store.chunk)
    try:
        with progress_bar("Predicting", store.total, store.done) as bar:
            for chunk, views in read_ahead(inputs, predictor.read):
                store.append(*predictor.predict(chunk, views))
                bar.advance(len(chunk))
    except KeyboardInterrupt:
        raise Interrupted from None


def _write(predictor: Predictor, store: Store, outputs: list[Path], formulas: bool) -> Summary:
    """Write the outputs; the file of rows comes last and marks the prediction as complete."""
    for path in outputs:
        make_folder(path.parent)
    for path in outputs[1:]:
        images = (row["image"] for row in store.rows())
        write_features(path, images, store.features(), predictor.widths)
    summary = Summary()
    with progress_bar(f"Writing {outputs[0].name}", store.total) as bar:
        write_rows(outputs[0], summary.counting(store.rows(), bar), predictor.columns(), formulas)
    return summary
