"""Run folders made to harm who loads them: refused in one sentence, no code is run, nothing hangs."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World
from lptpp.utils.digest import DIGEST, file_digest, sealed

Change = Callable[[Path], object]  # changes a run folder
MARK = "LPTPP_RELIABILITY_MARK"


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def newest(run: Path) -> Path:
    """Return the last checkpoint, the only one."""
    folders = sorted((run / "checkpoint").glob("step-*"), key=lambda path: int(path.name[5:]))
    for folder in folders[:-1]:
        shutil.rmtree(folder)
    return folders[-1]


def settings(line: str, drop: str | None = None) -> Change:
    """Return a change that adds a line to config.yaml, instead of those that begin with `drop`."""

    def change(run: Path) -> None:
        lines = (run / "config.yaml").read_text().splitlines()
        kept = [one for one in lines if drop is None or not one.startswith(drop)]
        (run / "config.yaml").write_text("\n".join([*kept, line, ""]))

    return change


def manifest(**entries: Any) -> Change:
    """Return a change of the manifest with a valid digest: as one who knows how it is made would do."""

    def change(run: Path) -> None:
        path = newest(run) / "manifest.json"
        content = json.loads(path.read_text()) | entries
        content.pop(DIGEST, None)
        path.write_text(json.dumps(sealed(content)))

    return change


def weights(change_of: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    """Return a change of the tuned weights with valid digests."""

    def change(run: Path) -> None:
        folder = newest(run)
        save_file(change_of(load_file(folder / "tuned.safetensors")), folder / "new.safetensors")
        (folder / "new.safetensors").replace(folder / "tuned.safetensors")
        _signed(folder)

    return change


def content(name: str, made: Callable[[], bytes], sign: bool = True) -> Change:
    """Return a change that replaces a file of the checkpoint, with valid digests."""

    def change(run: Path) -> None:
        folder = newest(run)
        (folder / name).write_bytes(made())
        if sign:
            _signed(folder)

    return change


def special(name: str, make: Callable[[Path], object]) -> Change:
    """Return a change that puts a FIFO, or a link to a device, in the place of a file."""

    def change(run: Path) -> None:
        path = run / name if (run / name).is_file() else newest(run) / name
        path.unlink()
        make(path)

    return change


def _signed(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content.pop(DIGEST, None)
    content["files"] = {one.name: file_digest(one) for one in sorted(folder.glob("*.safetensors"))}
    path.write_text(json.dumps(sealed(content)))


def _first(value: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """Return a change of the first weight."""

    def change_of(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = next(iter(sorted(given)))
        return given | {name: value(given[name])}

    return weights(change_of)


def zero(path: Path) -> None:
    """Link to a device that never ends."""
    path.symlink_to("/dev/zero")


def nine_times(number: int) -> str:
    """Return a line that repeats the line before nine times."""
    return f"a{number}: &a{number} [{f'*a{number - 1},' * 9}]"


PYTHON = "seed: !!python/object/apply:os.system ['touch ran']"
HUGE_HEADER = struct.pack("<Q", 2**60) + b"{}"
CHANGES: dict[str, Change] = {
    "python tag": settings(PYTHON, "seed:"),
    "target": settings("_target_: os.system"),
    "environment": settings(f"seed: ${{oc.env:{MARK}}}", "seed:"),
    "extends a file": settings("extends: /etc/passwd"),
    "anchors that multiply": settings("\n".join(["a0: &a0 [x]", *map(nine_times, range(1, 30))])),
    "unknown setting": settings("command: touch ran"),
    "other precision": settings("precision: bf16", "precision:"),
    "no settings": lambda run: (run / "config.yaml").write_bytes(b""),
    "binary settings": lambda run: (run / "config.yaml").write_bytes(bytes(range(256))),
    "settings are a FIFO": special("config.yaml", os.mkfifo),
    "settings are a device": special("config.yaml", zero),
    "manifest is a FIFO": special("manifest.json", os.mkfifo),
    "manifest is a device": special("manifest.json", zero),
    "weights are a FIFO": special("tuned.safetensors", os.mkfifo),
    "weights are a device": special("tuned.safetensors", zero),
    "manifest names a file outside": manifest(files={"tuned.safetensors": "", "../../../../etc/passwd": ""}),
    "manifest names an absolute file": manifest(files={"tuned.safetensors": "", "/dev/zero": ""}),
    "manifest without files": manifest(files={}),
    "manifest of another format": manifest(format=99),
    "classes of another number": manifest(class_names=["a", "b"]),
    "classes that are no list": manifest(class_names={"a": 1}),
    "counts that are texts": manifest(counts=["x"] * 4),
    "class names with controls": manifest(class_names=[1, None, [], {}]),
    "deep JSON": content("manifest.json", lambda: b"[" * 200_000, sign=False),
    "not a number": _first(lambda one: torch.full_like(one, float("nan"))),
    "infinity": _first(lambda one: torch.full_like(one, float("inf"))),
    "another shape": _first(lambda one: torch.zeros(3, 3, 3)),
    "another type": _first(lambda one: torch.zeros(one.shape, dtype=torch.int64)),
    "one weight less": weights(lambda given: dict(sorted(given.items())[1:])),
    "one weight more": weights(lambda given: given | {"__class__": torch.zeros(1)}),
    "a pickle as weights": content("tuned.safetensors", lambda: pickle.dumps(Code())),
    "a huge header": content("tuned.safetensors", lambda: HUGE_HEADER),
    "empty weights": content("tuned.safetensors", bytes),
}  # fmt: skip


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Predict with every such folder."""
    os.environ[MARK] = "7"
    step = len(CHANGES) / count
    names = [list(CHANGES)[int(place * step)] for place in range(count)]
    yield from in_lanes([(name, partial(_trial, world, CHANGES[name])) for name in names], world.scratch("hostile"))


def _trial(world: World, change: Change, folder: Path) -> str | None:
    run, image = Path(shutil.copytree(world.run, folder / "run")), world.pictures / "test" / "car" / "0.png"
    change(run)
    os.chdir(folder)
    done = ended(command("predict", run, image), folder, seconds=60)
    if list(folder.rglob("ran")):
        return f"it ran code: {done.output}"
    return None if done.status == 2 and done.sentence else f"status {done.status}: {done.output}"


PROMISE = Promise(
    "hostile run folders: refused in one sentence, no code is run", verdicts, len(CHANGES), 8, seconds=0.2
)
