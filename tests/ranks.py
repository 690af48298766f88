"""Processes forked from this one, in which PyTorch is imported already: one, or those of a run under torchrun."""

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import torch
from threadpoolctl import threadpool_limits

PRINTED = ("out.txt", "err.txt")


def start_ranks(function: Callable[[], object], count: int, folder: Path) -> Sequence[multiprocessing.Process]:
    """Start `count` processes that call a function; what they print is in the files rank-0.txt, … of the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    folder.mkdir(parents=True, exist_ok=True)
    found = [context.Process(target=_rank, args=(function, rank, count, port, folder)) for rank in range(count)]
    for process in found:
        process.start()
    return found


def forked(function: Callable[[], object], folder: Path) -> multiprocessing.Process:
    """Start a process, with a group of its own, that calls a function; what it prints is in out.txt and err.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PRINTED:
        (folder / name).touch()
    process = multiprocessing.get_context("fork").Process(target=_forked, args=(function, folder))
    process.start()
    return process


def exit_codes(ranks: Sequence[multiprocessing.Process], seconds: float = 120) -> list[int | None]:
    """Wait for the processes and return their exit codes; None for one that had to be killed after `seconds` each."""
    codes: list[int | None] = []
    for process in ranks:
        process.join(seconds)
        codes.append(process.exitcode)
        process.kill()
    return codes


def run_ranks(function: Callable[[], object], count: int, folder: Path) -> list[int | None]:
    """Call a function in `count` processes and return their exit codes."""
    return exit_codes(start_ranks(function, count, folder))


def printed(folder: Path) -> str:
    """Return what all processes printed."""
    return "".join(path.read_text() for path in sorted(folder.glob("rank-*.txt")))


def _rank(function: Callable[[], object], rank: int, count: int, port: int, folder: Path) -> None:
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in variables.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    file = (folder / f"rank-{rank}.txt").open("w", buffering=1)
    _end_with(function, file, file)


def _forked(function: Callable[[], object], folder: Path) -> None:
    os.setsid()
    _end_with(function, *((folder / name).open("w", buffering=1) for name in PRINTED))


def _end_with(function: Callable[[], object], out: TextIO, err: TextIO) -> None:
    """Call a function that prints to files and end this process with its status."""
    with one_thread():
        for number, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = out, err
        status = _status(function)
        out.flush()
        err.flush()
        os._exit(status)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, as torchrun does: their number decides the order of sums, and no pool survives a fork."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _status(function: Callable[[], object]) -> int:
    try:
        function()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
