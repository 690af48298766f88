"""Images that changed since training are noticed by `fit` and `evaluate`, which name them and change nothing."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, draw_picture

Change = Callable[[Path, Random], str]  # changes the image; returns the name that the message must contain


def replaced(path: Path, draw: Random) -> str:
    """Draw another image."""
    draw_picture(path, 1, draw.randint(1000, 9999))
    return path.name


def one_byte(path: Path, draw: Random) -> str:
    """Change a byte, and none of the size."""
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    return path.name


def cut(path: Path, draw: Random) -> str:
    """Cut the end off."""
    os.truncate(path, draw.randrange(path.stat().st_size))
    return path.name


def removed(path: Path, draw: Random) -> str:
    """Remove it."""
    path.unlink()
    return path.name


def renamed(path: Path, draw: Random) -> str:
    """Give it another name."""
    path.rename(path.with_name(f"x{path.name}"))
    return f"x{path.name}"


def added(path: Path, draw: Random) -> str:
    """Add an image."""
    shutil.copy(path, path.with_name("new.png"))
    return "new.png"


def other_class(path: Path, draw: Random) -> str:
    """Move it to another class."""
    path.rename(path.parents[1] / "car" / "moved.png")
    return "moved.png"


def other_split(path: Path, draw: Random) -> str:
    """Move it from training to test."""
    path.rename(path.parents[2] / "test" / path.parent.name / "moved.png")
    return "moved.png"


def swapped(path: Path, draw: Random) -> str:
    """Exchange two images."""
    other = path.parents[1] / "bear" / "0.png"
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)
    return path.name


def new_class(path: Path, draw: Random) -> str:
    """Add a class."""
    draw_picture(path.parents[1] / "zebra" / "0.png", 2, 1)
    return "zebra"


CHANGES: tuple[Change, ...] = (
    replaced, one_byte, cut, removed, renamed, added, other_class, other_split, swapped, new_class
)  # fmt: skip


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Try each change, at different images, in `evaluate` or when training resumes."""
    trials = [
        (f"{CHANGES[seed % len(CHANGES)].__name__} {seed}", partial(_trial, world, CHANGES[seed % len(CHANGES)], seed))
        for seed in range(count)
    ]
    yield from in_lanes(trials, world.scratch("images"))


def _trial(world: World, change: Change, seed: int, folder: Path) -> str | None:
    draw, pictures = Random(seed), Path(shutil.copytree(world.pictures, folder / "pictures"))
    finished = seed % 2 == 0
    run = Path(shutil.copytree(world.run if finished else world.stages[3], folder / "run"))
    name = change(pictures / "train" / "apple" / f"{draw.randrange(8)}.png", draw)
    root = f"data.root={pictures}"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = ended(command("evaluate", run, root) if finished else world.fit(run, root), folder)
    if done.status != 2 or not done.sentence or name not in done.last:
        return f"{name}, status {done.status}: {done.output}"
    changed = [str(path) for path, content in before.items() if path.read_bytes() != content]
    return f"it changed {changed}" if changed else None


PROMISE = Promise("changed, added, removed, moved images: refused by name", verdicts, 30, 3, seconds=0.3)
