"""What distinguishes the predictions in an output from those that a command would write, in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lptpp.utils.text import printable

Identity = Mapping[str, Any]  # model, inputs, options, as JSON: they determine the bytes of an output


def recorded(run: Path) -> str:
    """Return the path of a run as a job records it, for its name only: what counts is the model."""
    return printable(str(run.resolve()))


def difference(found: Identity | None, identity: Identity, wrote: str, run: str) -> str:
    """Return what an output contains; `identity` is that of the command, which may lack inputs and some options.

    `wrote` and `run` are the runs of the output and of the command, see `recorded`; empty if unknown.
    """
    if found is None:
        return "already exists"
    if found.get("model") != identity["model"]:
        return f"contains predictions of {_models(wrote, run)}"
    if found.get("inputs") != identity.get("inputs", found.get("inputs")):
        return "contains predictions of other inputs, or of files that have changed since"
    changed = changed_options(found, identity)
    return f"contains predictions with other options ({'; '.join(changed)})" if changed else "already exists"


def changed_options(found: Identity, identity: Identity) -> list[str]:
    """Return a description of each option of the command that has another value in the output."""
    before, now = found.get("options") or {}, identity["options"]
    return [f"{key} was {before.get(key)}, now {value}" for key, value in now.items() if before.get(key) != value]


def _models(wrote: str, run: str) -> str:
    if not wrote:
        return f"another model than that of {_near(run)}"
    return f"{_near(run)} as it was trained before" if wrote == run else f"{_near(wrote)}, not of {_near(run)}"


def _near(run: str) -> str:
    """Return the path of a run, from the current folder if it is below that."""
    here = Path.cwd()
    return str(Path(run).relative_to(here)) if Path(run).is_relative_to(here) and Path(run) != here else run
