"""Several processes of one run, as torchrun starts them, forked from this one: PyTorch is imported already."""

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits


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
    with one_thread(), (folder / f"rank-{rank}.txt").open("w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        os._exit(_status(function))


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
