"""Jobs: unfinished predictions, which resume, and which several processes may share.

A job has a folder OUTPUT.partial with job.json in it; a finished OUTPUT has a note, OUTPUT.json. An output of another
prediction is neither continued nor overwritten without --overwrite. Who starts or ends a job is `alone` meanwhile;
who computes is a member of the crew in the folder `WORKING`.
"""

import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.checkpoint.folder import recorded_fingerprint
from lptpp.prediction.differences import Identity, changed_options, difference, recorded
from lptpp.prediction.inputs import STANDARD_INPUT, file_state
from lptpp.utils.crew import Crew, remove_claims
from lptpp.utils.digest import content_digest
from lptpp.utils.disk import make_folder, writing
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json
from lptpp.utils.paths import refuse_special
from lptpp.utils.progress import progress_bar

log = logging.getLogger("lptpp")
JOB, NEW_INPUTS, INPUTS, PARTS = "job.json", "inputs.new", "inputs.jsonl", "parts"
STARTING, START, WORKING = "starting", "start", "working"  # folders of crews, what the first claims
POLL = 0.5  # seconds between two looks at what other processes do


def partial(output: Path) -> Path:
    """Return the folder of unfinished predictions."""
    return output.with_name(f"{output.name}.partial")


def note(output: Path) -> Path:
    """Return the file that describes a finished output."""
    return output.with_name(f"{output.name}.json")


@dataclass(frozen=True)
class Job:
    """What job.json records: the identity, how the inputs were given and are cut into parts, and the run's path."""

    identity: Identity
    request: Mapping[str, Any]
    part: int  # inputs in a part
    starts: list[int]  # byte in `INPUTS` at which each part starts
    run: str  # see `recorded`

    @property
    def count(self) -> int:
        """Return the number of inputs."""
        return int(self.identity["inputs"]["count"])

    def size(self, place: int) -> int:
        """Return the number of inputs of a part."""
        return min(self.part, self.count - place * self.part)

    def parts(self, output: Path) -> Path:
        """Return the folder of what is computed; no other job has one of this name."""
        return partial(output) / f"{PARTS}-{content_digest(self.identity)[:12]}"


def request_of(paths: Sequence[Path], column: str | None) -> dict[str, Any]:
    """Return how inputs are given, as JSON: where, by which paths, and the state of those that are files."""

    def state(path: Path) -> list[int] | None:
        found = file_state(str(path)) if path.is_file() else None
        return None if found is None else [found.st_size, found.st_mtime_ns]

    names = [str(name).encode("utf-8", "backslashreplace").decode() for name in (Path.cwd(), *paths)]
    return {"folder": names[0], "paths": names[1:], "states": [*map(state, paths)], "column": column}


@contextmanager
def alone(output: Path) -> Iterator[Crew]:
    """Wait until no other process starts or ends a job; remove its folder afterward unless it contains a job."""
    folder = partial(output)
    make_folder(folder.parent)
    with Crew(folder / STARTING) as crew:
        _wait_for_claim(crew, folder / START, output)
        try:
            yield crew
        finally:
            if not (folder / JOB).exists():
                _clear(folder)


def _wait_for_claim(crew: Crew, path: Path, output: Path) -> None:
    if crew.claim(path):
        return
    log.info("Waiting for %s, which starts or ends the predictions in %s.", crew.holder(path), output)
    with progress_bar("Waiting", None) as bar:
        while not crew.claim(path):
            time.sleep(POLL)
            bar.advance()


def shared(output: Path, crew: Crew, identity: Identity, request: Mapping[str, Any], run: str) -> Job | None:
    """Return the job that other processes are computing now; None if there are none. `identity` lacks the inputs.

    Raises:
        UserError: it is another one, or the inputs come from standard input.
    """
    others, job = crew.at_work(partial(output) / WORKING), read_job(output)
    if not others or job is None:
        return None
    if STANDARD_INPUT in request["paths"]:
        reason = "only one process can read standard input: wait for it, or pass a list of the paths to all"
    elif request != job.request:
        reason = _other_inputs(job.request, request)
    elif (identity := {**identity, "inputs": job.identity["inputs"]}) != job.identity:
        found = difference(job.identity, identity, job.run, run)
        reason = f"the folder {found}: wait for it, or use another --output"
    else:
        return job
    raise UserError(f"{others[0][0].upper()}{others[0][1:]} is writing {output}, and {reason}.")


def _other_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = [key for key in ("folder", "paths", "column") if before[key] != now[key]]
    key = changed[0] if changed else "paths"
    found = f"{key}={before[key]}, here {now[key]}" if changed else "a file of paths has changed since"
    return f"it was started with other inputs ({found}): wait for it, or use another --output"


def begin(outputs: list[Path], job: Job, overwrite: bool) -> bool:
    """Start a job with the new inputs, or resume the same job; return False if it is already finished.

    `outputs` are the files that the job writes, the predictions first.

    Raises:
        UserError: an output, finished or not, belongs to another job, and `overwrite` is False.
    """
    folder, unfinished, identity = partial(outputs[0]), read_job(outputs[0]), job.identity
    if unfinished is not None and unfinished.identity == identity:
        (folder / NEW_INPUTS).unlink()
        return True
    there = [output for output in outputs if output.exists()]
    wrote, done = _finished(outputs[0])
    if not overwrite:
        if there == outputs and done == identity:
            return False
        if there:
            raise _taken(there[0], difference(done, identity, wrote, job.run))
        if unfinished is not None:
            raise _taken(folder, difference(unfinished.identity, identity, unfinished.run, job.run))
    with writing(folder):
        (folder / JOB).unlink(missing_ok=True)  # first: without it the other files are ignored
        _remove_results(folder)
        (folder / NEW_INPUTS).replace(folder / INPUTS)
    how = {"request": job.request, "part": job.part, "starts": job.starts, "run": job.run}
    write_json(folder / JOB, {**identity, **how})
    return True


def refuse_taken(outputs: list[Path], run: Path, given: Mapping[str, Any]) -> None:
    """Raise `UserError` if no job of this run with these options can begin; `begin` also compares the inputs.

    The model is known by its files and need not be loaded. A job of other processes is left to `shared`.
    """
    there, unfinished = [output for output in outputs if output.exists()], read_job(outputs[0])
    crews = (Crew(partial(outputs[0]) / name) for name in (STARTING, WORKING))
    if not (there or unfinished) or any(crew.at_work() for crew in crews):
        return
    known: Identity = {"model": recorded_fingerprint(run), "options": given}
    wrote, done = _finished(outputs[0])
    same = [*([unfinished.identity] if unfinished else []), *([done] if done and there == outputs else [])]
    if any(one.get("model") == known["model"] and not changed_options(one, known) for one in same):
        return
    if there:
        raise _taken(there[0], difference(done, known, wrote, recorded(run)))
    assert unfinished is not None
    raise _taken(partial(outputs[0]), difference(unfinished.identity, known, unfinished.run, recorded(run)))


def read_job(output: Path) -> Job | None:
    """Return the unfinished job of an output; None without a valid one."""
    found = _read(partial(output) / JOB) or {}
    try:
        identity = {key: found[key] for key in ("model", "inputs", "options")}
        return Job(identity, found["request"], found["part"], found["starts"], str(found.get("run", "")))
    except (KeyError, TypeError):
        return None


def finish(output: Path, job: Job, summary: Mapping[str, Any]) -> None:
    """Write the note of the finished output, and remove the job."""
    write_json(note(output), {"job": job.identity, "run": job.run, "summary": summary})
    (partial(output) / JOB).unlink(missing_ok=True)


def summary_of(output: Path) -> dict[str, Any]:
    """Return the summary that `finish` wrote."""
    return (_read(note(output)) or {})["summary"]


def _finished(output: Path) -> tuple[str, Identity | None]:
    """Return the run and the identity in the note of an output; empty and None without a valid one."""
    found = _read(note(output)) or {}
    run, job = found.get("run"), found.get("job")
    return run if isinstance(run, str) else "", job if isinstance(job, dict) else None


def _taken(path: Path, reason: str) -> UserError:
    return UserError(f"{path} {reason}: use another --output, or replace it with --overwrite.")


def _read(path: Path) -> dict[str, Any] | None:
    refuse_special(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _clear(folder: Path) -> None:
    with suppress(OSError):  # a disk that has become read-only
        _remove_results(folder)
        for name in (NEW_INPUTS, INPUTS):
            (folder / name).unlink(missing_ok=True)
        remove_claims(folder / START)


def _remove_results(folder: Path) -> None:
    """Remove what a job has computed."""
    for parts in folder.glob(f"{PARTS}-*"):
        shutil.rmtree(parts)
