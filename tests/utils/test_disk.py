"""Writers on disks that take no more: one sentence, no partial file, the old file as it was."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

from lptpp.checkpoint.store import write_checkpoint
from lptpp.export.torch_program import _save
from lptpp.prediction.writer import write_features
from lptpp.utils import io
from lptpp.utils.disk import ADVICE, CannotWrite, append, atomic_write, keeping, make_folder, writing
from tests.disks import Disk, fill, small_disk

ROWS = [{"name": "a" * 50, "value": number / 7} for number in range(4000)]
NOISE = np.random.default_rng(0).random((300, 200), np.float32)


def parquet(path: Path) -> None:
    io.write_parquet(path, ROWS, pyarrow.schema([("name", pyarrow.string()), ("value", pyarrow.float64())]))


def picture(path: Path) -> None:
    with atomic_write(path, "wb") as file:
        Image.fromarray((255 * NOISE).astype(np.uint8)).save(file, "PNG")


def program(path: Path) -> None:
    layer = torch.nn.Linear(100, 100)
    _save(torch.export.export(layer, (torch.zeros(2, 100),)), path, {})


def checkpoint(path: Path) -> None:
    write_checkpoint(path.parent / "checkpoint", 1, {"tuned": {"a": torch.from_numpy(NOISE)}}, {})


def appended(path: Path) -> None:
    append(path, b"more" * 10_000, sync=True)


WRITERS: dict[str, Callable[[Path], None]] = {
    "csv": lambda path: io.write_csv(path, ROWS),
    "json": lambda path: io.write_json(path, ROWS),
    "json lines": lambda path: io.write_json_lines(path, ROWS),
    "parquet": parquet,
    "text": lambda path: io.write_text(path, "a" * 100_000),
    "features": lambda path: write_features(path.with_suffix(".npy"), [], NOISE, {}),
    "feature columns": lambda path: write_features(path, map(str, range(300)), NOISE, {"visual": 200}),
    "picture": picture,
    "program": program,
    "checkpoint": checkpoint,
    "line": appended,
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_write_fails_in_one_sentence_and_leaves_what_was_there(writer, tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"old\n")
    path.with_suffix(".npy").write_bytes(b"old")
    before = files(tmp_path)
    failed = 0
    while True:
        with Disk(tmp_path, full_from=failed).mounted():
            try:
                WRITERS[writer](path)
                break
            except CannotWrite as error:
                assert f"{tmp_path}/" in str(error)
                assert "cannot be written (No space left on device): make room, then repeat" in str(error)
                assert "\n" not in str(error)
        assert files(tmp_path) == before
        failed += 1
    assert failed >= 2
    assert files(tmp_path) != before


def test_a_disk_that_is_really_full(tmp_path):
    """Some of the content is written before the disk is full: by Python, NumPy, Arrow, Pillow and safetensors."""
    with small_disk(tmp_path / "disk", 2000) as folder:
        path = folder / "table.parquet"
        append(path, b"old\n")
        ballast = fill(folder, left=20)
        before = files(folder)
        for name, write in WRITERS.items():
            with pytest.raises(CannotWrite, match="No space left on device"):
                write(path)
            assert files(folder) == before, name
        ballast.unlink()
        for write in WRITERS.values():
            write(path)


@pytest.mark.parametrize("number", [*ADVICE, errno.EIO, errno.ENAMETOOLONG])
def test_each_reason_has_its_advice(number, tmp_path):
    with Disk(tmp_path, 0, number).mounted(), pytest.raises(CannotWrite) as error, keeping("The run is kept."):
        io.write_text(tmp_path / "a.txt", "text")
    reason, advice = os.strerror(number), ADVICE.get(number, "check the disk and the path")
    expected = f"{tmp_path}/a.txt cannot be written ({reason}): {advice}, then repeat the command. The run is kept."
    assert str(error.value) == expected
    assert list(tmp_path.iterdir()) == []


def test_the_innermost_says_what_is_safe(tmp_path):
    with pytest.raises(CannotWrite, match="inner"), keeping("outer"), keeping("inner"), writing(tmp_path):
        raise OSError(errno.ENOSPC, "full")


def test_errors_of_files_that_are_read_are_not_those_of_the_file_that_is_written(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.csv") as file:
        file.write((tmp_path / "elsewhere" / "b.csv").read_text())
    with pytest.raises(OSError, match="truncated") as error, atomic_write(tmp_path / "a.csv"):
        raise OSError("image file is truncated")  # of Pillow
    assert type(error.value) is OSError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        make_folder(tmp_path / "file" / "sub")
    with pytest.raises(CannotWrite, match="No such file or directory"):
        io.write_text(tmp_path / "nowhere" / "a.txt", "text")
