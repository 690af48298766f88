"""Predictions for any number of pictures: read, judged and written chunk by chunk, and continued after a stop."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from lptpp.evaluation.calibration import read_fitted
from lptpp.evaluation.tta import adjustment
from lptpp.inference.model import load
from lptpp.inference.views import VIEWS
from lptpp.prediction.inputs import Input, expand, read_listing, write_listing
from lptpp.prediction.options import Options
from lptpp.prediction.reading import read_ahead
from lptpp.prediction.resume import INPUTS, NEW_INPUTS, Store, alone, begin, finish, summary_of
from lptpp.prediction.writer import TABLES, Predictor, Row, check_suffix, write_features, write_rows
from lptpp.utils.errors import Interrupted
from lptpp.utils.progress import Bar, progress_bar

log = logging.getLogger("lptpp")
EXAMPLES = 10  # rows of either kind that a summary keeps


@dataclass
class Summary:
    """How many rows were written, how many of them say why an image is unreadable, and the first of either kind."""

    rows: int = 0
    unreadable: int = 0
    answered: list[Row] = field(default_factory=list)
    faults: list[Row] = field(default_factory=list)

    def counting(self, rows: Iterator[Row], bar: Bar) -> Iterator[Row]:
        """Yield the rows, and count them."""
        for row in rows:
            of_its_kind = self.answered if row["error"] is None else self.faults
            if len(of_its_kind) < EXAMPLES:
                of_its_kind.append(row)
            self.rows += 1
            self.unreadable += row["error"] is not None
            bar.advance()
            yield row


def predict_paths(run: Path, paths: Sequence[Path], output: Path, options: Options) -> Summary:
    """Write one row for each picture that the paths stand for to `output`: .csv, .jsonl or .parquet.

    Goes on where the same prediction was stopped, and ends with the same bytes. Raises `UserError` for whatever a user
    can mend, `Interrupted` where the user stopped it: what is computed is kept.
    """
    check_suffix(output, TABLES)
    predictor, chunk = _predictor(run, options)
    with alone(output) as folder:
        inputs = write_listing(folder / NEW_INPUTS, expand(paths, options.column))
        identity = {
            "model": predictor.model.mixture.fingerprint(),
            "inputs": inputs,
            "options": options.deciding(predictor.adjust, chunk),
        }
        outputs = [output] if options.embeddings is None else [output, options.embeddings]
        if not begin(outputs, identity, options.overwrite):
            log.info("%s holds these predictions already; --overwrite makes them again.", output)
            return Summary(**summary_of(output))
        store = Store(folder, chunk, inputs["count"], sum(predictor.widths.values()) if options.embeddings else 0)
        _compute(predictor, store, folder / INPUTS)
        summary = _write(predictor, store, outputs)
        finish(output, identity, asdict(summary))
    return summary


def _predictor(run: Path, options: Options) -> tuple[Predictor, int]:
    """Return the judge that the options ask for, and how many pictures it takes at once."""
    model = load(run)
    settings = options.over(model.settings)

    def fitted() -> float:
        return read_fitted(run, model.mixture.fingerprint()).temperature

    adjust = adjustment(settings, model.class_names, model.counts, fitted)
    chunk = max(1, settings.evaluation.batch_size // VIEWS[adjust.views].number)
    return Predictor(model, adjust, options.top_k, options.threshold), chunk


def _compute(predictor: Predictor, store: Store, listing: Path) -> None:
    """Judge what is not judged yet."""
    if store.done:
        log.info("Going on: %d of %d pictures are done.", store.done, store.total)
    look, largest = predictor.model.looking(predictor.adjust.views), predictor.model.settings.data.largest_megapixels
    chunks = _chunks(read_listing(listing, store.done), store.chunk)
    try:
        with progress_bar("Predicting", store.total, store.done) as bar:
            for inputs, seen in read_ahead(chunks, look, largest):
                store.append(*predictor.predict(inputs, seen))
                bar.advance(len(inputs))
    except KeyboardInterrupt:
        raise Interrupted from None


def _chunks(inputs: Iterator[Input], size: int) -> Iterator[list[Input]]:
    while chunk := list(islice(inputs, size)):
        yield chunk


def _write(predictor: Predictor, store: Store, outputs: list[Path]) -> Summary:
    """Write the outputs, the rows last: they are the sign that all is there."""
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    for path in outputs[1:]:
        images = (row["image"] for row in store.rows())
        write_features(path, images, store.features(), predictor.widths)
    summary = Summary()
    with progress_bar(f"Writing {outputs[0].name}", store.total) as bar:
        write_rows(outputs[0], summary.counting(store.rows(), bar), predictor.columns())
    return summary
