"""Predictions for any number of images, batch by batch, by any number of processes; an interrupted one resumes."""

import json
import logging
from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from lptpp.evaluation.calibration import read_fitted
from lptpp.evaluation.prior import ESTIMATED
from lptpp.evaluation.tta import Adjustment, adjustment, warn_about_prior, with_estimate
from lptpp.inference.model import load
from lptpp.inference.pipeline import chunks, read_ahead
from lptpp.prediction.compute import compute_parts
from lptpp.prediction.differences import recorded
from lptpp.prediction.inputs import expand
from lptpp.prediction.listing import read_listing, write_listing
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.parts import Parts, part_size
from lptpp.prediction.resume import (
    INPUTS,
    NEW_INPUTS,
    WORKING,
    Job,
    alone,
    begin,
    finish,
    partial,
    read_job,
    refuse_taken,
    request_of,
    shared,
    summary_of,
)
from lptpp.prediction.store import Joined
from lptpp.prediction.suffixes import TABLES, check_suffix
from lptpp.prediction.writer import PredictionRow, Predictor, write_features, write_rows
from lptpp.utils.crew import Crew
from lptpp.utils.disk import atomic_write, keeping, make_folder
from lptpp.utils.progress import Bar, progress_bar

log = logging.getLogger("lptpp")
EXAMPLES = 10  # rows of each kind that a summary keeps


@dataclass
class Summary:
    """The numbers of rows, of unreadable images, and of images without a prediction (uncertain); some rows.

    `predicted` are the rows with the lowest probabilities, `failed` the first of unreadable images.
    """

    rows: int = 0
    unreadable: int = 0
    uncertain: int = 0
    predicted: list[PredictionRow] = field(default_factory=list)
    failed: list[PredictionRow] = field(default_factory=list)

    def counting(self, rows: Iterator[PredictionRow], bar: Bar) -> Iterator[PredictionRow]:
        """Yield the rows and count them."""
        for row in rows:
            self.rows += 1
            if row["error"] is None:
                self.uncertain += row["prediction"] is None
                insort(self.predicted, row, key=_probability)
                del self.predicted[EXAMPLES:]
            else:
                self.unreadable += 1
                self.failed += [row] if len(self.failed) < EXAMPLES else []
            bar.advance()
            yield row


def _probability(row: PredictionRow) -> float:
    return row["probability_1"]


def predict_paths(run: Path, paths: Sequence[Path], output: Path, options: PredictOptions) -> Summary | None:
    """Write one row for each image that the paths stand for to `output`: .csv, .jsonl or .parquet.

    If the same prediction was interrupted before, it resumes; if other processes compute it now, this one helps them.
    The output has the same bytes. Returns None if another process writes the output.

    Raises:
        UserError: invalid paths or options, or an output of another prediction.
        Interrupted: the user stopped it; the computed rows are kept.
        CannotWrite: the disk is full or read-only; the computed rows are kept.
    """
    with keeping(f"Predictions resume from the last complete batch in {partial(output)}, if there is one."):
        return _predicted(run, paths, output, options)


def _predicted(run: Path, paths: Sequence[Path], output: Path, options: PredictOptions) -> Summary | None:
    check_suffix(output, TABLES)
    outputs = [output] if options.embeddings is None else [output, options.embeddings]
    if not options.overwrite:
        refuse_taken(outputs, run, options.given())  # before the model is loaded
    predictor, chunk = predictor_of(run, options)
    with ExitStack() as working:
        with alone(output) as first:
            job, resumed = _job(predictor, recorded(run), paths, outputs, options, chunk, first)
            if job is None:
                log.info("%s already contains these predictions; use --overwrite to compute them again.", output)
                return Summary(**summary_of(output))
            crew = working.enter_context(Crew(partial(output) / WORKING))
            width = sum(predictor.widths.values()) if options.embeddings else 0
            make_folder(job.parts(output))
            parts = Parts(job.parts(output), job, crew, chunk, width)
            if options.prior == ESTIMATED:
                predictor.adjust = _estimated(predictor, output, job, chunk)
        if not compute_parts(predictor, parts, output, resumed):
            return None
        summary = _write(predictor, parts, outputs, not options.escape_formulas)
        with alone(output):
            finish(output, job, asdict(summary))
            working.close()  # so that the folder is empty
    return summary


def _job(
    predictor: Predictor,
    run: str,
    paths: Sequence[Path],
    outputs: list[Path],
    options: PredictOptions,
    chunk: int,
    first: Crew,
) -> tuple[Job | None, bool]:
    """Return the job, new, resumed or of other processes (True for the latter); None if it is already finished."""
    output, request = outputs[0], request_of(paths, options.column)
    identity = {
        "model": predictor.model.mixture.fingerprint(),
        "options": options.deciding(predictor.adjust, chunk),
    }
    if (job := shared(output, first, identity, request, run)) is not None:
        return job, True
    size, folder = part_size(chunk), partial(output)
    inputs, starts = write_listing(folder / NEW_INPUTS, expand(paths, options.column, folder), size)
    whole = {"model": identity["model"], "inputs": inputs, "options": identity["options"]}
    begun = begin(outputs, Job(whole, request, size, starts, run), options.overwrite)
    return (read_job(output) if begun else None), False


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


def _estimated(predictor: Predictor, output: Path, job: Job, chunk: int) -> Adjustment:
    """Return the adjustment with class frequencies estimated from all readable inputs, by the first process."""
    file, whole = job.parts(output) / "frequencies.npy", predictor.adjust
    assert whole.priors is not None
    if file.is_file():
        return replace(whole, priors=(np.load(file, allow_pickle=False), whole.priors[1]))

    def probabilities() -> Iterator[torch.Tensor]:
        inputs = read_listing(partial(output) / INPUTS)
        with progress_bar("Estimating class frequencies", job.count, unit="images") as bar:
            for some, seen in read_ahead(chunks(inputs, chunk), predictor.read):
                if good := [views for views in seen if not isinstance(views, str)]:
                    yield predictor.pipeline.forward(good).of_views
                bar.advance(len(some))

    found = with_estimate(whole, probabilities(), job.count, predictor.model.class_names)
    assert found.priors is not None
    with atomic_write(file, "wb") as opened:
        np.save(opened, found.priors[0])
    return found


def _write(predictor: Predictor, parts: Parts, outputs: list[Path], formulas: bool) -> Summary:
    """Join the parts to the outputs; the file of rows comes last and marks the prediction as complete."""
    stores = parts.stores()

    def rows() -> Iterator[PredictionRow]:
        return chain.from_iterable(store.rows() for store in stores)

    for path in outputs:
        make_folder(path.parent)
    for path in outputs[1:]:
        write_features(path, (row["image"] for row in rows()), Joined(stores, parts.width), predictor.widths)
    summary = Summary()
    with progress_bar(f"Writing {outputs[0].name}", parts.job.count, unit="rows") as bar:
        write_rows(outputs[0], summary.counting(rows(), bar), predictor.columns(), formulas)
    return summary
