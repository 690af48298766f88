"""What makes a run this run: settings, classes, counts, backbones; and what differs when it is resumed."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lptpp.config import Settings, flat, to_dictionary
from lptpp.config.validate import written
from lptpp.data.dataset import Collection
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError
from lptpp.utils.text import listed

LIBRARIES = ("lptpp", "torch", "timm", "open_clip_torch", "accelerate")
FREE = ("run", "device", "workers", "tracker", "track_every", "data.root", "data.memory_gb")  # may differ later on,
FREE_BELOW = "evaluation."  # and all below


def stage_names(mixture: Mixture) -> list[str]:
    """Return the names of all stages of a run, in order."""
    names = []
    for name, expert in mixture.experts.items():
        names += [f"{name}/phase1"] + ([f"{name}/phase2"] if expert.encoder.groups is not None else [])
    return names + (["mixture/phase3"] if mixture.scorer is not None else [])


def identity(settings: Settings, mixture: Mixture, collection: Collection) -> dict[str, Any]:
    """Return what makes a run this run: settings, classes, counts, backbones; and the versions that made it."""
    return {
        "settings": to_dictionary(settings),
        "class_names": collection.class_names,
        "counts": collection.train.counts(len(collection.class_names)).tolist(),
        "fingerprints": fingerprints(mixture),
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def fingerprints(mixture: Mixture) -> dict[str, str]:
    """Return the fingerprint of every expert's backbone."""
    return {name: expert.backbone.fingerprint for name, expert in mixture.experts.items()}


def check_backbones(manifest: dict[str, Any], mixture: Mixture, folder: Path) -> None:
    """Raise `UserError` where a checkpoint was tuned on other backbone weights than these."""
    for name, found in fingerprints(mixture).items():
        if manifest["fingerprints"].get(name) != found:
            backbone = mixture.experts[name].backbone.name
            raise UserError(
                f"{folder} was tuned on another backbone than {backbone} as it is here (expert {name}: fingerprint"
                f" {str(manifest['fingerprints'].get(name))[:12]}…, not {found[:12]}…): give the weights it was"
                " tuned on."
            )


def check_same_run(manifest: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise `UserError` where a run folder was begun with other settings or other data."""
    before, after = _fixed(manifest["settings"]), _fixed(now["settings"])
    widest_first = sorted(before.keys() | after.keys(), key=lambda key: (key.count("."), key))
    changed = [key for key in widest_first if before.get(key) != after.get(key)]
    if changed:
        message = [
            f"{key}: {written(before.get(key))} in the folder, {written(after.get(key))} asked for" for key in changed
        ]
        raise UserError(
            f"{folder} holds a run with other settings ({listed(message, between='; ')}): give those of the folder,"
            " choose another run=FOLDER, or delete it."
        )
    if manifest["class_names"] != now["class_names"] or manifest["counts"] != now["counts"]:
        raise UserError(
            f"{folder} was begun with other pictures or classes: restore them, or choose another run=FOLDER."
        )


def _fixed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a run keeps, under dotted keys."""
    every = flat(settings).items()
    return {key: value for key, value in every if key not in FREE and not key.startswith(FREE_BELOW)}
