"""Backbones that are not those of training: refused in one sentence that names the file or the expert."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World
from tests.towers import VISION, write_card

State = dict[str, torch.Tensor]
Change = Callable[[Path], object]  # changes the file of a backbone


def weights(change_of: Callable[[State], State]) -> Change:
    """Return a change of the weights; the card stays."""

    def change(path: Path) -> None:
        with safe_open(path, "pt") as file:
            card = file.metadata()
        save_file(change_of(load_file(path)), path.with_name("new"), card)
        path.with_name("new").replace(path)

    return change


def card(**entries: object) -> Change:
    """Return a change to a tower with another card, and random weights that fit it."""

    def change(path: Path) -> None:
        made = write_card(path.parent, {**json.loads(json.dumps(VISION)), **entries, "name": "other"})
        made.replace(path)

    return change


def _one(given: State, value: Callable[[torch.Tensor], torch.Tensor]) -> State:
    name = next(name for name in sorted(given) if given[name].is_floating_point() and given[name].numel() > 8)
    return given | {name: value(given[name])}


CHANGES: dict[str, Change] = {
    "other weights": weights(lambda given: _one(given, lambda one: one + 1e-3)),
    "one weight of another shape": weights(lambda given: _one(given, lambda one: one[:1].clone())),
    "one weight less": weights(lambda given: dict(sorted(given.items())[1:])),
    "one weight more": weights(lambda given: given | {"more": torch.zeros(1)}),
    "not a number": weights(lambda given: _one(given, lambda one: one * float("nan"))),
    "another depth": card(architecture={**VISION["architecture"], "depth": 3}),
    "another width": card(architecture={**VISION["architecture"], "embed_dim": 48}),
    "another mean": card(mean=[0.4, 0.5, 0.5]),
    "another size": card(size=[32, 32], architecture={**VISION["architecture"], "img_size": 32}),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "empty": lambda path: path.write_bytes(b""),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"weight": 1})),
    "missing": Path.unlink,
}


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Predict with every such backbone."""
    names = list(CHANGES)[:count]
    yield from in_lanes([(name, partial(_trial, world, CHANGES[name])) for name in names], world.scratch("backbones"))


def _trial(world: World, change: Change, folder: Path) -> str | None:
    run, image = Path(shutil.copytree(world.run, folder / "run")), world.pictures / "test" / "car" / "0.png"
    own = Path(shutil.copy(world.folder / "vision_random.safetensors", folder))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace(str(world.folder / own.name), str(own)))
    change(own)
    done = ended(command("predict", run, image), folder)
    named = own.name in done.last or "visual" in done.last
    return None if done.status == 2 and done.sentence and named else f"status {done.status}: {done.output}"


PROMISE = Promise("backbones other than those of training: refused by name", verdicts, len(CHANGES), 4, seconds=0.3)
