"""What the promises are tried on: small pictures, tiny towers with random weights, and one unbroken run."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.reliability.forks import command, ended
from benchmarks.reliability.moments import counting_changes
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.training import recorder
from tests.towers import LANGUAGE, VISION, experts_on, write_card

COUNTS = {"apple": 8, "bear": 5, "car": 3, "dog": 1}  # training images
TESTED = 2  # of each class
PARTS = {"shared_prompts": 2, "adapter_width": 2, "group_prompts": 2, "num_groups": 3, "top_k": 1, "group_blocks": 2}
QUICK = {
    "device": "cpu",
    "precision": "float32",
    "phase1": {"epochs": 2, "batch_size": 8},
    "phase2": {"epochs": 2, "batch_size": 8},
    "phase3": {"epochs": 2, "batch_size": 8, "views": 1, "hidden": 8},
    "evaluation": {"shot_thresholds": [2, 6], "baselines": []},
}


@dataclass(frozen=True)
class World:
    """The folder of everything; its run took `changes` changes of the file system and `seconds`."""

    folder: Path

    @property
    def pictures(self) -> Path:
        """One folder per class in train/ and test/."""
        return self.folder / "pictures"

    @property
    def config(self) -> Path:
        """The settings of the run, all but its folder."""
        return self.folder / "small.yaml"

    @property
    def run(self) -> Path:
        """The finished run."""
        return self.folder / "run"

    @property
    def stages(self) -> list[Path]:
        """Copies of the run folder after each epoch, all but the last."""
        return sorted((self.folder / "stages").iterdir())

    @cached_property
    def changes(self) -> int:
        """The changes of the file system that the run made."""
        return int((self.folder / "changes").read_text())

    def scratch(self, name: str) -> Path:
        """Return a new folder for a promise."""
        path = self.folder / "scratch" / name
        path.mkdir(parents=True)
        return path

    def fit(self, folder: Path, *overrides: str) -> Any:
        """Return a function that runs `lptpp fit` on a run folder."""
        return command("fit", self.config, f"run={folder}", *overrides)


def make_world(folder: Path) -> World:
    """Draw the pictures, write the towers, and train the unbroken run."""
    world = World(folder)
    for label, (name, count) in enumerate(COUNTS.items()):
        for number in range(count):
            draw_picture(world.pictures / "train" / name / f"{number}.png", label, 100 * label + number)
        for number in range(TESTED):
            draw_picture(world.pictures / "test" / name / f"{number}.png", label, 100 * label + 50 + number)
    for card in (VISION, LANGUAGE):
        write_card(folder, card)
    settings = {
        "data": {"source": "folder", "root": str(world.pictures)},
        "experts": experts_on(folder, PARTS),
        **QUICK,
    }
    world.config.write_text(json_text(settings), encoding="utf-8")
    done = ended(lambda: _unbroken(world), folder)
    assert done.status == 0, done.output
    return world


def json_text(settings: dict[str, Any]) -> str:
    """Return settings as JSON, which is YAML too."""
    import json

    return json.dumps(settings, indent=1)


def draw_picture(path: Path, label: int, seed: int) -> None:
    """Draw noise in the color of a class."""
    noise = np.random.default_rng(seed).integers(0, 80, (40, 40, 3))
    noise[..., label % 3] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.astype(np.uint8)).save(path)


def _unbroken(world: World) -> None:
    """Train the run, and copy its folder at every checkpoint but the last."""
    write = recorder.write_checkpoint

    def write_and_copy(root: Path, step: int, *rest: Any) -> Any:
        written = write(root, step, *rest)
        if not written.manifest["finished"]:
            shutil.copytree(root.parent, world.folder / "stages" / f"{step:03}")
        return written

    recorder.write_checkpoint = write_and_copy  # type: ignore[assignment]
    counting_changes(world.run, world.fit(world.run), world.folder / "changes")


def difference(found: Path, expected: Path) -> str | None:
    """Return how a finished run differs from another one, in weights, losses or tables; None if it is equal."""
    one, other = (latest_checkpoint(run / "checkpoint") for run in (found, expected))
    if one is None or other is None or not one.manifest["finished"]:
        return f"{found.name} is not finished"
    weights, wanted = one.tensors("tuned"), other.tensors("tuned")
    if weights.keys() != wanted.keys() or not all(torch.equal(weights[name], wanted[name]) for name in wanted):
        return "the weights differ"
    if _losses(one.manifest) != _losses(other.manifest):
        return "the losses differ"
    for name in ("predictions.csv", "confusion.csv", "classes.csv"):
        if (expected / name).is_file() and (found / name).read_bytes() != (expected / name).read_bytes():
            return f"{name} differs"
    left = [str(path.relative_to(found)) for path in found.rglob("*.partial")]
    return f"it leaves {', '.join(left)}" if left else None


def _losses(manifest: dict[str, Any]) -> list[Any]:
    return [(line["stage"], line["epoch"], line["loss"]) for line in manifest["history"]]
