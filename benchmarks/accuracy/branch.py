"""Start a run from phase 1 of another one, so that variants of phase 2 share the phase-1 model."""

from pathlib import Path

import torch

from lptpp.checkpoint.identity import identity
from lptpp.checkpoint.images import record_images
from lptpp.checkpoint.store import latest_checkpoint, write_checkpoint
from lptpp.config import Settings
from lptpp.config.stages import StageKey
from lptpp.data.prepare import load_dataset
from lptpp.models.build import build_mixture
from lptpp.training.loop import Position


@torch.no_grad()
def branch(parent: Path, settings: Settings) -> None:
    """Write a checkpoint with phase 1 of `parent` to the run folder of `settings`, unless it has one.

    The run must have the only expert of the parent; its shared prompts, adapters and phase-1 head are copied.
    """
    root = Path(settings.run) / "checkpoint"
    if latest_checkpoint(root) is not None:
        return
    source = latest_checkpoint(parent / "checkpoint")
    assert source is not None, f"{parent} is not a run folder"
    collection = load_dataset(settings)
    mixture = build_mixture(settings, len(collection.class_names))
    (name,) = mixture.experts
    given, state = source.tensors("tuned"), mixture.tuned_state()
    for key in state:
        if ".encoder.groups." not in key and ".heads.1." not in key:
            state[key].copy_(given[key])
    history = [line for line in source.manifest["history"] if line["stage"] == f"{name}/phase1"]
    record_images(settings, collection)
    where = {"position": Position(StageKey(name, 2)).saved(), "finished": False, "history": history}
    write_checkpoint(root, 0, {"tuned": state, "optimizer": {}}, {**where, **identity(settings, mixture, collection)})
