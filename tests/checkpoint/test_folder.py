"""Run folders of another format, and every message about a run folder or a checkpoint."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lptpp
from lptpp.checkpoint.identity import check_backbones
from lptpp.checkpoint.store import FORMAT, latest_checkpoint
from lptpp.config import load_settings, run_settings
from lptpp.config.run_format import check_format
from lptpp.evaluation.compare import ComparedRun
from lptpp.evaluation.run import evaluate_run
from lptpp.export.hugging_face import write_hugging_face
from lptpp.export.write import export_run
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_paths
from lptpp.report.gather import gather
from lptpp.training.fit import fit
from lptpp.utils.digest import sealed
from lptpp.utils.errors import UserError
from tests import golden

OLD = {"shot_thresholds": "borders", "num_groups": "pool", "top_k": "chosen", "color": "colour"}


def newest(folder: Path) -> list[Path]:
    return list(folder.glob("checkpoint/step-30/manifest.json"))


def age_manifest(folder: Path) -> None:
    for path in newest(folder):
        manifest = json.loads(path.read_text())
        assert manifest.pop("format") == FORMAT
        manifest.pop("digest")
        path.write_text(json.dumps({"schema": 1, **manifest}))


def age_settings(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    for new, old in OLD.items():
        assert f"{new}:" in text
        text = text.replace(f"{new}:", f"{old}:")
    (folder / "config.yaml").write_text(text)


def age_metrics(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["borders"] = metrics.pop("shot_thresholds")
    metrics["answer"] = metrics.pop("result")
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.fixture
def old(run) -> Path:
    """A run folder as the format before this one had it."""
    for age in (age_manifest, age_settings, age_metrics):
        age(run)
    return run


OPENERS: dict[str, Callable] = {
    "fit the folder": load_settings,  # as `lptpp fit RUN` does
    "evaluate": evaluate_run,
    "load": lptpp.load,  # as the app does
    "predict": lambda run: predict_paths(run, [run], run.with_name("out.csv"), PredictOptions()),
    "report": gather,
    "compare": ComparedRun.read,
    "export": lambda run: list(export_run(run, "torch")),
    "export to a hub": lambda run: list(write_hugging_face(run, run, "me/fruit", "unknown")),
}


def test_fit_refuses_a_run_folder_of_the_old_format(old, settings_of):
    before = (old / "config.yaml").read_text()
    with pytest.raises(UserError, match=rf"{old} .*format 1.* {FORMAT}"):
        fit(settings_of(old))
    assert (old / "config.yaml").read_text() == before


@pytest.mark.parametrize("opener", OPENERS)
def test_everything_that_opens_a_run_refuses_the_old_format(opener, old):
    with pytest.raises(UserError, match=rf"{old} .*format 1.* {FORMAT}"):
        OPENERS[opener](old)


@pytest.mark.parametrize("age", [age_manifest, age_settings, age_metrics])
def test_one_old_file_is_enough(age, run):
    check_format(run)
    age(run)
    with pytest.raises(UserError, match="format 1"):
        check_format(run)


def test_a_newer_format_is_refused(run):
    (path,) = newest(run)
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | {"format": FORMAT + 1})))
    with pytest.raises(UserError, match=f"format {FORMAT + 1}"):
        latest_checkpoint(run / "checkpoint")


def test_an_exported_model_of_the_old_format_is_refused(run, tmp_path):
    list(write_hugging_face(run, tmp_path, "me/fruit", "unknown"))
    facts = json.loads((tmp_path / "config.json").read_text())
    del facts["lptpp_format"]
    (tmp_path / "config.json").write_text(json.dumps({"lptpp_schema": 1, **facts}))
    with pytest.raises(UserError, match="format 1"):
        lptpp.load(tmp_path)


def test_the_messages(trained, run, old, settings_of, tmp_path, caplog):
    lines = []

    def note(call: Callable, *arguments: object) -> None:
        with pytest.raises(UserError) as caught:
            call(*arguments)
        lines.append(str(caught.value).replace(str(tmp_path), "TMP"))

    fresh = [Path(shutil.copytree(trained.folder, tmp_path / name)) for name in ("a", "b", "c", "d")]
    note(check_format, old)
    note(lptpp.load, tmp_path / "nowhere")
    note(lptpp.load, shutil.copytree(trained.checkpoints[4], tmp_path / "unfinished"))
    (fresh[0] / "config.yaml").unlink()
    note(run_settings, fresh[0])
    note(fit, settings_of(fresh[1], "seed=1", "phase2.epochs=3"))
    (path,) = newest(fresh[2])
    manifest = json.loads(path.read_text())
    note(check_backbones, manifest | {"fingerprints": {"visual": {"tower": "0" * 64}}}, trained.mixture, fresh[2])
    path.write_text(json.dumps(sealed(manifest | {"class_names": [*manifest["class_names"], "x"]})))
    note(fit, settings_of(fresh[2]))
    path.write_text(json.dumps(sealed(manifest | {"images": None})))
    note(fit, settings_of(fresh[2]))
    text = (fresh[3] / "config.yaml").read_text()
    (fresh[3] / "config.yaml").write_text(text.replace("shared_prompts: 2", "shared_prompts: 3", 1))
    note(lptpp.load, fresh[3])
    path.write_text("{}")
    assert latest_checkpoint(fresh[2] / "checkpoint").manifest["step"] == 27
    lines.append(caplog.messages[-1].replace(str(tmp_path), "TMP"))
    fingerprint = trained.mixture.experts["visual"].backbone.fingerprint[:12]
    for other in fresh[2].glob("checkpoint/step-*/manifest.json"):
        other.write_text("[]")
    note(latest_checkpoint, fresh[2] / "checkpoint")
    golden.check("checkpoint_errors", "\n".join(lines).replace(fingerprint, "FINGERPRINT") + "\n")
