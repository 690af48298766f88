"""A run whose visual expert is a ResNet without prompts: training, resuming at once, predictions, export."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from lptpp import api
from lptpp.backbones import vision
from lptpp.backbones.hub import HubFile
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.export.options import ExportOptions
from lptpp.export.write import export_run
from lptpp.inference.model import load
from lptpp.utils.errors import UserError

NAME, COMMIT = "test_resnet.r160_in1k", "c0ffee"
pytestmark = pytest.mark.usefixtures("no_sections")
BACKBONE = [
    *(f"experts.visual.backbone.{key}" for key in (f"name={NAME}", "weights=null", "image_size=64")),
    "experts.visual.shared_prompts=0",
]
QUICK = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[linear_probe]"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Provide the weights of the ResNet; return the revisions that are asked for."""
    asked: list[str | None] = []
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_file({key: one.contiguous() for key, one in timm.create_model(NAME).state_dict().items()}, path)

    def fetch(repository: str, names: object, revision: str | None) -> HubFile:
        asked.append(revision)
        return HubFile(path, repository, COMMIT)

    monkeypatch.setattr(vision, "fetch", fetch)
    return asked


def test_an_expert_without_prompts_joins_a_mixture(settings_of, tmp_path, hub, pictures):
    settings = settings_of(tmp_path / "run", *BACKBONE, "experts.visual.group_prompts=0", *QUICK)
    metrics = api.fit(settings)
    assert list(metrics["tuned_parts"]["visual"]) == ["adapters", "classifier"]
    assert {"visual.phase1", "visual.linear_probe", "language.phase2", "mixture"} <= set(metrics["rows"])
    stages = [line["stage"] for line in latest_checkpoint(tmp_path / "run/checkpoint").manifest["history"]]
    assert list(dict.fromkeys(stages)) == ["visual/phase1", "language/phase1", "language/phase2", "mixture/phase3"]
    assert latest_checkpoint(tmp_path / "run/checkpoint").manifest["revisions"] == {"visual": f"timm/{NAME}@{COMMIT}"}
    model = load(tmp_path / "run", "cpu")
    assert hub == [None, COMMIT]  # the second time, the commit of the run
    image = next(pictures.rglob("*.png"))
    assert model.predict(image)[0].label in model.class_names
    assert list(export_run(tmp_path / "run", "torch", tmp_path / "out", ExportOptions((image,), None, None)))


def test_prompts_are_refused_before_the_download(settings_of, tmp_path, hub):
    with pytest.raises(UserError, match=rf"Backbone {NAME} is a ResNet: .*Without prompts \(shared_prompts=0 and"):
        api.fit(settings_of(tmp_path / "run", *BACKBONE, *QUICK))
    assert hub == []
