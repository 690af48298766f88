"""One flipped bit in any file of a run: it is refused, or predictions are the same."""

import logging
import shutil
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from random import Random

import lptpp
from benchmarks.reliability.forks import in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World
from lptpp.utils.errors import UserError

FILES = ("tuned.safetensors", "optimizer.safetensors", "manifest.json", "config.yaml")


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Flip count/4 bits in each of the files."""
    trials = [(f"{FILES[seed % 4]} {seed}", partial(_trial, world, FILES[seed % 4], seed)) for seed in range(count)]
    yield from in_lanes(trials, world.scratch("flips"))


def _trial(world: World, name: str, seed: int, folder: Path) -> str | None:
    expected, run = _predictions(world, world.run), Path(shutil.copytree(world.run, folder / "run"))
    path = run / name if name == "config.yaml" else _newest(run) / name
    content, draw = bytearray(path.read_bytes()), Random(seed)
    place, bit = draw.randrange(len(content)), draw.randrange(8)
    content[place] ^= 1 << bit
    logging.getLogger("lptpp").setLevel(logging.ERROR)  # of this lane: that the older checkpoint is used
    path.write_bytes(content)
    try:
        found = _predictions.__wrapped__(world, run)
    except UserError:
        return None
    return None if found == expected else f"bit {bit} of byte {place} changes predictions"


def _newest(run: Path) -> Path:
    return max((run / "checkpoint").glob("step-*"), key=lambda path: int(path.name[5:]))


@cache
def _predictions(world: World, run: Path) -> list[list[tuple[str, float]]]:
    """Return all probabilities of a few images."""
    images = sorted(world.pictures.glob("test/*/0.png"))
    found = lptpp.load(run, "cpu").predict(images, top_k=4)
    return [[(one.label, one.probability) for one in image] for image in found]


PROMISE = Promise(
    "one flipped bit in weights, optimizer, manifest or settings: refused or without effect",
    verdicts,
    500,
    16,
    seconds=0.04,
)
