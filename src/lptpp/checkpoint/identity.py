"""The identity of a run: settings, classes, images, backbones. A run resumes only if they are the same."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lptpp.backbones.base import fingerprint
from lptpp.checkpoint.record import record_digest
from lptpp.config import Settings, to_dictionary
from lptpp.config.trained import trained_settings
from lptpp.config.validate import written
from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.files import read_json
from lptpp.models.mixture import Mixture
from lptpp.utils.digest import content_digest
from lptpp.utils.errors import UserError
from lptpp.utils.text import duration, listed

BUDGET = "time_budget.json"  # in a run folder, the epochs that `lptpp fit --time` chose
LIBRARIES = ("lptpp", "torch", "timm", "open_clip_torch", "accelerate")


def identity(settings: Settings, mixture: Mixture, collection: ImageDataset) -> dict[str, Any]:
    """Return settings, classes, class counts, images and backbones, and the versions of the libraries.

    The images are the digest of their record in the run folder, None before it is written.
    """
    return {
        "settings": to_dictionary(settings),
        "class_names": collection.class_names,
        "counts": collection.train.counts(len(collection.class_names)).tolist(),
        "images": record_digest(Path(settings.run) / "checkpoint"),
        "fingerprints": fingerprints(mixture),
        "revisions": revisions(mixture),
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def run_digest(settings: Settings, mixture: Mixture, collection: ImageDataset) -> str:
    """Return a sha256 over all of the identity that does not change while a run trains."""
    found = identity(settings, mixture, collection)
    return content_digest({**found, "settings": trained_settings(found["settings"]), "versions": None})


def fingerprints(mixture: Mixture) -> dict[str, dict[str, Any]]:
    """Return what each expert takes from its backbone: digests of both towers and of their card, the preprocessing."""
    found = {}
    for name, expert in mixture.experts.items():
        backbone = expert.backbone
        text = None if backbone.text is None else fingerprint(backbone.text.model)
        found[name] = {
            "tower": backbone.fingerprint,
            "text": text,
            "preprocessing": asdict(backbone.preprocessing),
            "card": backbone.card,
        }
    return json.loads(json.dumps(found))  # as a manifest has it


def revisions(mixture: Mixture) -> dict[str, str]:
    """Return the repository and commit of each expert's backbone weights, if they are from the hub."""
    found = {name: expert.backbone.revision for name, expert in mixture.experts.items()}
    return {name: revision for name, revision in found.items() if revision is not None}


def check_backbones(manifest: dict[str, Any], mixture: Mixture, folder: Path) -> None:
    """Raise `UserError` if a checkpoint was trained on other backbone weights, or with another preprocessing."""
    for name, found in fingerprints(mixture).items():
        trained = manifest["fingerprints"].get(name)
        trained = trained if isinstance(trained, dict) else {}
        for part, value in found.items():
            if trained.get(part) != value:
                raise UserError(
                    f"{folder} was trained on {_other(part, trained.get(part), value)} of"
                    f" {mixture.experts[name].backbone.name}, expert {name}: provide the original weights."
                )


def _other(part: str, trained: Any, found: Any) -> str:
    """Return a description of the part of a backbone that differs."""
    if part == "preprocessing":
        before = trained or {}
        different = [f"{key} {before.get(key)}, now {found[key]}" for key in found if found[key] != before.get(key)]
        return f"another preprocessing ({'; '.join(different)})"
    what = {"tower": "other weights", "text": "other weights of the text tower", "card": "another card"}
    return f"{what[part]} (fingerprint {str(trained)[:12]}…, found {str(found)[:12]}…)"


def check_settings(manifest: dict[str, Any], settings: Settings, folder: Path) -> None:
    """Raise `UserError` if a run folder belongs to a run with other settings."""
    changed = _changed(manifest["settings"], to_dictionary(settings))
    if changed:
        message = [f"{key}: {before} in the folder, {after} requested" for key, before, after in changed]
        raise UserError(
            f"{folder} contains a run with other settings ({listed(message, between='; ')}): `lptpp fit {folder}`"
            " resumes it with its own; for a new run, set another run=FOLDER or delete it."
            f"{_of_budget(folder, changed)}"
        )


def _of_budget(folder: Path, changed: Iterable[tuple[str, str, str]]) -> str:
    """Return a sentence on the time budget that chose numbers of epochs which differ, with a space in front, or ""."""
    if not (folder / BUDGET).is_file():
        return ""
    found = read_json(folder / BUDGET, "the epochs of a time budget")
    chosen = {f"{phase}.epochs": written(number) for phase, number in found["epochs"].items()}
    if not any(chosen.get(key) == before for key, before, _ in changed):
        return ""
    return f" Its epochs were chosen by --time {duration(found['seconds'])}, which resumes it too."


def check_saved_settings(manifest: dict[str, Any], settings: Settings, folder: Path) -> None:
    """Raise `UserError` if config.yaml has other settings than the run was trained with.

    Backbone weights and images may move: their content is compared with that of training.
    """
    found = _changed(manifest["settings"], to_dictionary(settings))
    changed = [one for one in found if not _may_move(*one)]
    if changed:
        message = [f"{key}: {after}, trained with {before}" for key, before, after in changed]
        raise UserError(
            f"{folder / 'config.yaml'} was changed after training ({listed(message, between='; ')}): restore the"
            " values, or train again in a new run folder."
        )


def _may_move(key: str, before: str, after: str) -> bool:
    """Return whether a setting says where files are that are compared by their content, or which splits are drawn."""
    if key.endswith(".backbone.tokenizer"):
        return True
    if key.endswith(".backbone.weights"):
        return before.endswith(".safetensors") and after.endswith(".safetensors")
    return key.startswith("data.") and key not in ("data.resize", "data.white_level")


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return key and both values of every setting that differs and must not, the widest first."""
    one, other = trained_settings(before), trained_settings(after)
    widest_first = sorted(one.keys() | other.keys(), key=lambda key: (key.count("."), key))
    found = [
        (key, written(one.get(key)), written(other.get(key))) for key in widest_first if one.get(key) != other.get(key)
    ]
    orders = written(list(before["experts"])), written(list(after["experts"]))
    return found or ([("order of experts", *orders)] if orders[0] != orders[1] else [])
