"""Tar shards with ../, absolute names, links, devices: nothing outside is read or written, and nothing hangs."""

import io
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World

UP = "../" * 20
SECRET = "a secret of another file"
Members = list[tuple[tarfile.TarInfo, bytes]]


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def link(kind: bytes) -> Callable[[Path], Members]:
    """Return members whose image is a link to a file outside."""
    return lambda outside: [member("9.png", kind=kind, link=str(outside)), member("9.cls", b"0")]


def special(kind: bytes) -> Callable[[Path], Members]:
    """Return members whose label is a device or a FIFO."""
    return lambda outside: [member("9.png", b"x"), member("9.cls", kind=kind)]


HOSTILE: dict[str, Callable[[Path], Members]] = {
    "../": lambda outside: [member("../escaped.png", b"x"), member("../escaped.cls", b"0")],
    "../../..": lambda outside: [member(f"{UP}{outside}.png", b"x"), member(f"{UP}{outside}.cls", b"0")],
    "absolute name": lambda outside: [member(f"{outside}.png", b"x"), member(f"{outside}.cls", b"0")],
    "symbolic link": link(tarfile.SYMTYPE),
    "hard link": link(tarfile.LNKTYPE),
    "link to a folder": lambda outside: [member("d", kind=tarfile.SYMTYPE, link="/"), member("d/etc/9.png", b"x")],
    "label is a link": lambda outside: [member("9.png"), member("9.cls", kind=tarfile.SYMTYPE, link=str(outside))],
    "character device": special(tarfile.CHRTYPE),
    "block device": special(tarfile.BLKTYPE),
    "FIFO": special(tarfile.FIFOTYPE),
    "a pickle as label": lambda outside: [member("9.png"), member("9.pyd", b"cos\nsystem\n(S'touch escaped'\ntR.")],
    "control characters": lambda outside: [member("\x1b[2J\n9.png", b"x"), member("\x1b[2J\n9.cls", b"0")],
}  # fmt: skip


def sparse(path: Path, outside: Path) -> None:
    """A header that claims a terabyte."""
    info = tarfile.TarInfo("9.png")
    info.size = 2**40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def cut(path: Path, outside: Path) -> None:
    """An archive that ends within a member."""
    os.truncate(path, path.stat().st_size // 2)


def fifo(path: Path, outside: Path) -> None:
    """A FIFO instead of an archive."""
    path.unlink()
    os.mkfifo(path)


def device(path: Path, outside: Path) -> None:
    """A link to a device that never ends."""
    path.unlink()
    path.symlink_to("/dev/zero")


def listening(path: Path, outside: Path) -> None:
    """A socket."""
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)


NO_ARCHIVES = (sparse, cut, fifo, device, listening)


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Read `count` shards with `lptpp data` and train on what they hold."""
    made = [(name, partial(_trial, world, name)) for name in [*HOSTILE, *(one.__name__ for one in NO_ARCHIVES)]]
    step = len(made) / count
    yield from in_lanes([made[int(place * step)] for place in range(count)], world.scratch("archives"))


def _trial(world: World, name: str, folder: Path) -> str | None:
    outside, data = folder / "outside.txt", folder / "data"
    outside.write_text(SECRET)
    data.mkdir()
    with tarfile.open(data / "a.tar", "w") as archive:
        for info, content in [*_good(world), *HOSTILE.get(name, lambda outside: [])(outside)]:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    for change in NO_ARCHIVES:
        if change.__name__ == name:
            change(data / "a.tar", outside)
    before = sorted(folder.rglob("*"))
    given = ["data.source=webdataset", f"data.root={data}", "data.train_list=a.tar", "data.test=0.2"]
    done = ended(command("data", world.config, *given, "--output", folder / "output"), folder, seconds=100)
    fine = done.status in (0, 1) and "Traceback" not in done.output  # 1: unreadable images are listed
    if not fine and not (done.status == 2 and done.sentence):
        return f"status {done.status}: {done.output}"
    if SECRET in done.output or "\x1b[2J" in done.output:
        return f"it shows what it must not: {done.output!r}"
    made = {path.relative_to(folder) for path in folder.rglob("*")} - {path.relative_to(folder) for path in before}
    other = [str(path) for path in made if path.parts[0] != "output" and path.suffix != ".output"]
    return f"it wrote {other}" if other or (world.folder / "escaped.png").exists() else None


def _good(world: World) -> Members:
    """Return samples of two classes."""
    return [
        one
        for number, path in enumerate(sorted(world.pictures.glob("train/[ab]*/*.png")))
        for one in (member(f"{number}.png", path.read_bytes()), member(f"{number}.cls", str(number % 2).encode()))
    ]


PROMISE = Promise(
    "tar shards with ../, links, devices, damage: nothing outside is read or written", verdicts, 17, 4, seconds=0.3
)
