"""Begin a run where phase 1 of another one ended, so that variants of phase 2 stand on the same phase-1 model."""

from pathlib import Path

import torch

from lptpp.checkpoint.identity import identity
from lptpp.checkpoint.store import latest_checkpoint, write_checkpoint
from lptpp.config import Settings
from lptpp.data.prepare import collection_of
from lptpp.models.build import build_mixture
from lptpp.training.loop import Position


@torch.no_grad()
def fork(parent: Path, settings: Settings) -> None:
    """Write a checkpoint into the folder of `settings` with phase 1 of `parent` done, unless one is there.

    The run must have one expert, the parent's; its shared prompts, adapters and phase-1 classifier are taken over.
    """
    root = Path(settings.run) / "checkpoint"
    if latest_checkpoint(root) is not None:
        return
    source = latest_checkpoint(parent / "checkpoint")
    assert source is not None, f"{parent} holds no run"
    collection = collection_of(settings)
    mixture = build_mixture(settings, len(collection.class_names))
    (name,) = mixture.experts
    given, state = source.tensors("tuned"), mixture.tuned_state()
    for key in state:
        if ".encoder.groups." not in key and ".heads.1." not in key:
            state[key].copy_(given[key])
    history = [line for line in source.manifest["history"] if line["stage"] == f"{name}/phase1"]
    where = {"position": vars(Position(f"{name}/phase2")), "finished": False, "history": history}
    write_checkpoint(root, 0, {"tuned": state, "optimizer": {}}, {**where, **identity(settings, mixture, collection)})
