"""`--to huggingface`: a folder with the trained weights, settings, metrics and a model card for the Hub."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save

from lptpp.checkpoint.folder import finished_run
from lptpp.checkpoint.sharing import FACTS_FILE, FILES, FORMAT_KEY, WEIGHTS
from lptpp.config import DataSettings, EvaluationSettings, ExpertSettings, Settings, to_yaml
from lptpp.config.run_format import FORMAT
from lptpp.evaluation.files import consistent, read_metrics
from lptpp.export.card import data_name, model_card
from lptpp.utils.digest import file_digest, sealed
from lptpp.utils.disk import atomic_write
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.io import write_json, write_text

PUBLIC = (
    "source",
    "factor",
    "profile",
    "validation",
    "test",
    "split_seed",
    "resize",
    "largest_megapixels",
    "white_level",
)
# data settings without paths
FACTS = ("class_names", "counts", "fingerprints", "versions")


def write_hugging_face(run: Path, folder: Path, name: str, license: str) -> Iterator[str]:
    """Write the folder of a model called `name`; yield a summary line.

    Local paths are left out. Backbone weights from a local file are copied, weights from a hub are not.

    Raises:
        UserError: the run is not finished or not evaluated, or the extra `hub` is not installed.
    """
    settings, checkpoint = finished_run(run)
    metrics = read_metrics(Path(settings.run))
    with atomic_write(folder / WEIGHTS, "wb") as file:
        file.write(save(checkpoint.tensors("tuned"), metadata={"format": "pt"}))
    facts = {key: checkpoint.manifest[key] for key in FACTS}
    facts["revisions"] = checkpoint.manifest.get("revisions", {})
    facts["data"] = checkpoint.manifest.get("data", data_name(settings.data))  # a shared run is exported again
    about = {"library_name": "lptpp", FORMAT_KEY: FORMAT, "lptpp_version": version("lptpp"), "finished": True}
    write_json(folder / "metrics.json", metrics)
    public = _public(settings, folder)
    write_text(folder / "config.yaml", to_yaml(public))
    names = [
        WEIGHTS,
        "config.yaml",
        "metrics.json",
        *sorted(path.name for path in folder.glob("backbone-*.safetensors")),
    ]
    files = {name: file_digest(folder / name) for name in names}
    write_json(folder / FACTS_FILE, sealed({**about, **facts, "files": files}))
    with consistent(run):
        card = model_card(name, public, facts, metrics, license)
    write_text(folder / "README.md", card)
    yield f"{WEIGHTS}, config.yaml, config.json, metrics.json and README.md, the model card"


def token() -> str:
    """Return the Hugging Face token.

    Raises:
        UserError: there is none.
    """
    found = extra("huggingface_hub", "hub", "--push").get_token()
    if not found:
        raise UserError("--push requires a Hugging Face token; log in with `hf auth login` or set HF_TOKEN.")
    return found


def push(folder: Path, name: str) -> str:
    """Upload a folder as a private model and return its URL.

    Raises:
        UserError: the Hub or the network failed.
    """
    hub: Any = extra("huggingface_hub", "hub", "--push")
    api = hub.HfApi(token=token())
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message="Upload by lptpp export"
        )
    except Exception as error:  # errors of the Hub and of the network
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"--push {name} failed ({type(error).__name__}: {reason}). Check the name (OWNER/NAME), the permissions of"
            f" the token and the network; the folder {folder} is complete."
        ) from error
    return str(address)


def _public(settings: Settings, folder: Path) -> Settings:
    data = DataSettings(**{key: getattr(settings.data, key) for key in PUBLIC})
    experts = {name: _with_weights(name, expert, folder) for name, expert in settings.experts.items()}
    evaluation = EvaluationSettings(
        split=settings.evaluation.split, shot_thresholds=list(settings.evaluation.shot_thresholds)
    )
    return replace(settings, run="model", device="auto", workers="0", data=data, experts=experts, evaluation=evaluation)


def _with_weights(name: str, expert: ExpertSettings, folder: Path) -> ExpertSettings:
    expert = replace(expert, backbone=replace(expert.backbone, tokenizer=None))  # a local path
    weights = expert.backbone.weights
    if weights is None or not weights.endswith(".safetensors"):
        return expert
    own = f"backbone-{name}.safetensors"
    shutil.copyfile(weights, folder / own)
    return replace(expert, backbone=replace(expert.backbone, weights=own))
