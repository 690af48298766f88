"""A folder for the Hugging Face Hub: tuned weights, settings, facts, and a card that says how good and how limited."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save

from lptpp.checkpoint.sharing import FILES, SCHEMA, WEIGHTS
from lptpp.config import DataSettings, EvaluationSettings, ExpertSettings, Settings, to_yaml
from lptpp.evaluation.files import read_metrics
from lptpp.export.card import data_name, model_card
from lptpp.inference.model import finished_run
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.io import write_json

HARMLESS = ("source", "factor", "profile", "validation", "test", "split_seed")  # settings of data that name no file
FACTS = ("class_names", "counts", "fingerprints", "versions")


def write_hugging_face(run: Path, folder: Path, name: str, license: str) -> Iterator[str]:
    """Write the folder of a model called `name`; yield a line about it.

    Paths of this machine stay out; backbone weights that are a local file go in, those of a hub do not.
    Raises `UserError` where the run is not finished or has not been evaluated.
    """
    settings, checkpoint = finished_run(run)
    metrics = read_metrics(Path(settings.run))
    (folder / WEIGHTS).write_bytes(save(checkpoint.tensors("tuned"), metadata={"format": "pt"}))
    facts = {key: checkpoint.manifest[key] for key in FACTS}
    facts["data"] = checkpoint.manifest.get("data", data_name(settings.data))  # there where it was shared before
    about = {"library_name": "lptpp", "lptpp_schema": SCHEMA, "lptpp_version": version("lptpp"), "finished": True}
    write_json(folder / "config.json", about | facts)
    write_json(folder / "metrics.json", metrics)
    public = _public(settings, folder)
    (folder / "config.yaml").write_text(to_yaml(public), encoding="utf-8")
    (folder / "README.md").write_text(model_card(name, public, facts, metrics, license), encoding="utf-8")
    yield f"{WEIGHTS}, config.yaml, config.json, metrics.json and README.md, the model card"


def token() -> str:
    """Return the token of the hub; `UserError` where nobody is logged in."""
    found = extra("huggingface_hub", "hub", "--push").get_token()
    if not found:
        raise UserError("--push needs a Hugging Face token: log in with `hf auth login`, or set HF_TOKEN.")
    return found


def push(folder: Path, name: str) -> str:
    """Upload a folder as a private model at the hub, and return its address.

    Raises `UserError` for whatever the hub or the network refuse.
    """
    hub: Any = extra("huggingface_hub", "hub", "--push")
    api = hub.HfApi(token=token())
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message="Upload by lptpp export"
        )
    except Exception as error:  # the hub's errors and the network's
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{name} could not be pushed ({type(error).__name__}: {reason}): check the name, OWNER/NAME, the token's"
            f" rights and the network; the folder {folder} is complete."
        ) from error
    return str(address)


def _public(settings: Settings, folder: Path) -> Settings:
    data = DataSettings(**{key: getattr(settings.data, key) for key in HARMLESS})
    experts = {name: _with_weights(name, expert, folder) for name, expert in settings.experts.items()}
    seen = EvaluationSettings(
        split=settings.evaluation.split, shot_thresholds=list(settings.evaluation.shot_thresholds)
    )
    return replace(settings, run="model", device="auto", workers=0, data=data, experts=experts, evaluation=seen)


def _with_weights(name: str, expert: ExpertSettings, folder: Path) -> ExpertSettings:
    weights = expert.backbone.weights
    if weights is None or not weights.endswith(".safetensors"):
        return expert
    own = f"backbone-{name}.safetensors"
    shutil.copyfile(weights, folder / own)
    return replace(expert, backbone=replace(expert.backbone, weights=own))
