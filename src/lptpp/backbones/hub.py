"""Files of the Hugging Face Hub: from the local cache if they are there, otherwise from the network, of one commit.

A cached file needs no network. Before a download, the hub must answer within a few seconds: the retries of its library
would take most of a minute without a network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import huggingface_hub as hub

PATIENCE = 4.0  # seconds in which the hub must answer
TOKENIZER = ("tokenizer_config.json", "tokenizer.json", "vocab.txt")  # any of them, in the cache, means all are
TOKENIZER_FILES = ["*.json", "*.txt", "*.model"]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a commit, on disk."""

    path: Path
    repository: str
    commit: str

    @property
    def revision(self) -> str:
        """The repository and the commit, as repository@commit."""
        return f"{self.repository}@{self.commit}"


def fetch(repository: str, names: Sequence[str], revision: str | None = None) -> HubFile:
    """Return the first of these files that a repository has; `revision` is a commit, a tag or a branch.

    Raises:
        OSError: the hub does not answer, or has none of the files (or whatever the library raises).
    """
    cached = (hub.try_to_load_from_cache(repository, name, revision=revision) for name in names)
    if (found := next((path for path in cached if isinstance(path, str)), None)) is not None:
        return HubFile(Path(found), repository, Path(found).parent.name)
    info = _info(repository, revision)
    there = {one.rfilename for one in info.siblings or ()}
    name = next((name for name in names if name in there), None)
    if name is None:
        raise FileNotFoundError(f"{repository} has none of {', '.join(names)}")
    return HubFile(Path(hub.hf_hub_download(repository, name, revision=info.sha)), repository, info.sha)


def fetch_tokenizer(repository: str) -> Path:
    """Return a folder with the files of a tokenizer; raises as `fetch`."""
    for name in TOKENIZER:
        if isinstance(cached := hub.try_to_load_from_cache(repository, name), str):
            return Path(cached).parent
    commit = _info(repository, None).sha
    return Path(hub.snapshot_download(repository, revision=commit, allow_patterns=TOKENIZER_FILES))


def commit_of(revision: str | None) -> str | None:
    """Return the commit of a `HubFile.revision`, or a commit, a tag or a branch as it is."""
    return None if revision is None else revision.split("@")[-1]


def _info(repository: str, revision: str | None) -> Any:
    return answered(lambda: hub.HfApi().model_info(repository, revision=revision, timeout=PATIENCE))


def answered(ask: Callable[[], Answer]) -> Answer:
    """Return the answer of a server, or raise `TimeoutError` after `PATIENCE` seconds, whatever the library does."""
    found: list[Answer] = []
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            found.append(ask())
        except Exception as error:  # of the library, raised again below
            failed.append(error)

    thread = Thread(target=attempt, daemon=True)  # does not keep the process alive
    thread.start()
    thread.join(PATIENCE)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {PATIENCE:g} s")
    return found[0]
