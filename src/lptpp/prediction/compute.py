"""The work that the processes of a prediction share: they take parts until all are done, and one joins them."""

import logging
import time
from pathlib import Path

from lptpp.inference.pipeline import chunks, read_ahead
from lptpp.prediction.listing import read_listing
from lptpp.prediction.parts import Part, Parts
from lptpp.prediction.resume import INPUTS, POLL, partial, read_job
from lptpp.prediction.writer import Predictor
from lptpp.utils.errors import Interrupted
from lptpp.utils.progress import Bar, progress_bar

log = logging.getLogger("lptpp")
JOIN = "join"  # what the process claims that writes the output


class Work:
    """The work of this process on the parts of the job of an output."""

    def __init__(self, predictor: Predictor, parts: Parts, output: Path, bar: Bar, shown: int) -> None:
        self.predictor, self.parts, self.output = predictor, parts, output
        self.bar, self.shown = bar, shown  # images that the bar counts
        self.note, self.waited = "", False

    def until_done(self) -> None:
        """Take parts, or wait for those of other processes, until all are done or the job has ended."""
        while (done := len(self.parts.done())) < len(self.parts):
            self.note = f"{done} of {len(self.parts)} parts" if len(self.parts) > 1 else ""
            if (part := self.parts.take()) is not None:
                self._compute(part)
            elif self.is_over():
                return
            else:
                self._wait()
            self._show(max(self.parts.done_images() - self.shown, 0))

    def is_over(self) -> bool:
        """Return whether another process has finished the job."""
        job = read_job(self.output)
        return job is None or job.identity != self.parts.job.identity

    def _compute(self, part: Part) -> None:
        listing, start = partial(self.output) / INPUTS, self.parts.job.starts[part.place]
        inputs = read_listing(listing, start, part.store.done, part.store.total)
        for chunk, views in read_ahead(chunks(inputs, part.store.chunk), self.predictor.read):
            if part.is_lost():
                log.warning("Another process has taken over a part: this one did not respond for minutes.")
                return
            part.store.append(*self.predictor.predict(chunk, views))
            self._show(len(chunk))
        self.parts.finish(part)

    def _wait(self) -> None:
        if not self.waited:
            log.info("The remaining parts are computed by others: %s. Waiting for them.", self._holders())
            self.waited = True
        time.sleep(POLL)

    def _holders(self) -> str:
        return ", ".join(self.parts.holders()) or "other processes"

    def _show(self, images: int) -> None:
        self.shown += images
        self.bar.advance(images, self.note)


def compute_parts(predictor: Predictor, parts: Parts, output: Path, joined: bool) -> bool:
    """Compute parts until all are done, and return whether this process is to join them.

    `joined` tells that other processes compute them, too.
    """
    try:
        shown = parts.saved_images()
    except FileNotFoundError:  # another process has just finished the job
        shown = 0
    if joined:
        log.info("Helping %s: %d of %d images are done.", ", ".join(parts.crew.at_work()), shown, parts.job.count)
    elif shown:
        log.info("Resuming: %d of %d images are done.", shown, parts.job.count)
    with progress_bar("Predicting", parts.job.count, shown, "images") as bar:
        work = Work(predictor, parts, output, bar, shown)
        try:
            work.until_done()
            return _joins(work)
        except KeyboardInterrupt:
            raise Interrupted from None
        except OSError:  # the files are gone
            if not work.is_over():
                raise
            return _is_left(work, "another process")


def _joins(work: Work) -> bool:
    """Claim the join."""
    path = work.parts.folder / JOIN
    if work.is_over():
        return _is_left(work, "another process")
    return bool(work.parts.crew.claim(path)) or _is_left(work, work.parts.crew.holder(path) or "another process")


def _is_left(work: Work, holder: str) -> bool:
    log.info("This process has done its part. %s is completed by %s.", work.output, holder)
    return False
