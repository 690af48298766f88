"""FIFOs, sockets and devices are refused by name wherever a file is named; none is read, which might never end."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lptpp.data.content import MISSING, digest, stamp
from lptpp.data.decode import image_size, unreadable_reason
from lptpp.data.sources.class_names import read_mapping
from lptpp.data.sources.files import read_json, read_text
from lptpp.data.sources.image_list import image_list
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.table_reader import open_table
from lptpp.data.sources.walk import walk
from lptpp.data.sources.webdataset import _members
from lptpp.evaluation.prior import read_text as read_prior
from lptpp.prediction.inputs import expand
from lptpp.prediction.resume import JOB, begin, partial
from lptpp.utils.errors import UserError

KINDS = ["FIFO", "socket", "device", "linked device"]


@pytest.fixture(autouse=True)
def at_most_ten_seconds() -> Iterator[None]:
    """Fail instead of waiting for a writer that never comes."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def special(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(path.parent)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    elif kind == "device":
        return Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    return path


READERS = {
    "text.txt": lambda path: read_text(path, "text"),
    "a.json": lambda path: read_json(path, "JSON"),
    "prior.csv": lambda path: read_prior(path, "class frequencies"),
    "names.csv": lambda path: read_mapping(path) or read_names(path),
    "names.txt": read_names,
    "table.csv": open_table,
    "table.parquet": open_table,
    "shard.tar": _members,
    "list.txt": lambda path: image_list(str(path.parent), str(path), None, None, None, 0.2, 0),
    "inputs.txt": lambda path: list(expand([path])),
    "inputs.csv": lambda path: list(expand([path])),
    "inputs.parquet": lambda path: list(expand([path])),
    "input.png": lambda path: list(expand([path])),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_a_named_file_is_refused(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = special(kind, tmp_path / name, monkeypatch)
    with pytest.raises(UserError, match=f"{path} is a {kind.split()[-1]}, expected a regular file"):
        READERS[name](path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_unreadable(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = special(kind, tmp_path / "a.png", monkeypatch)
    assert unreadable_reason(path) == f"cannot be read: a {kind.split()[-1]}, not a regular file"
    assert image_size(path) is None
    assert not any(digest(path))
    assert stamp(path) != MISSING


def test_a_list_that_names_one_gets_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "list.txt").write_text("fifo.png\n/dev/zero\n")
    reasons = [unreadable_reason(Path(one.path)) for one in expand([tmp_path / "list.txt"])]
    assert reasons == [f"cannot be read: a {kind}, not a regular file" for kind in ("FIFO", "device")]


def test_a_folder_passes_over_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    images, passed = walk(tmp_path)
    assert images == []
    assert [Path(note.item).name for note in passed] == ["fifo.png"]


def test_the_job_of_a_prediction(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    partial(output).mkdir()
    os.mkfifo(partial(output) / JOB)
    with pytest.raises(UserError, match=r"job\.json is a FIFO"):
        begin([output], {}, False)
