import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

import lptpp
from lptpp.checkpoint.sharing import FILES, shared_folder, shared_run
from lptpp.export import hugging_face
from lptpp.export.hugging_face import push, token, write_hugging_face
from lptpp.training.fit import fit
from lptpp.utils.digest import file_digest, sealed
from lptpp.utils.errors import UserError


@pytest.fixture(scope="module")
def shared(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    list(write_hugging_face(trained.folder, folder, "me/fruit", "apache-2.0"))
    return folder


@pytest.fixture
def copy(shared, tmp_path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / "copy"))


def test_the_folder_is_loaded_as_the_run_it_came_from(trained, shared, pictures):
    images = sorted(pictures.glob("test/*/*.png"))
    run, model = lptpp.load(trained.folder), lptpp.load(shared)
    assert model.predict(images, top_k=4) == run.predict(images, top_k=4)
    assert model.counts.tolist() == run.counts.tolist() == [8, 5, 3, 1]
    for settings in (model.settings, run.settings):
        for expert in settings.experts.values():
            expert.backbone.weights = None  # local files, which went along
    assert model.settings.experts == run.settings.experts


def test_it_holds_the_tuned_weights_and_no_path(trained, shared, pictures):
    names = {"README.md", "config.json", "config.yaml", "metrics.json", "model.safetensors"}
    names |= {"backbone-visual.safetensors", "backbone-language.safetensors"}
    assert {path.name for path in shared.iterdir()} == names
    assert all(any(Path(name).match(pattern) for pattern in FILES) for name in names)
    tuned = next(trained.folder.glob("checkpoint/step-30/tuned.safetensors"))
    given, found = load_file(tuned), load_file(shared / "model.safetensors")
    assert given.keys() == found.keys()
    assert all(np.array_equal(given[name], found[name]) for name in given)
    for path in shared.iterdir():
        data = path.read_bytes()
        assert str(pictures).encode() not in data
        assert str(trained.folder).encode() not in data


def test_a_shared_model_is_exported_again(shared, tmp_path):
    list(write_hugging_face(shared, tmp_path, "me/fruit", "apache-2.0"))
    for name in ("README.md", "config.json", "config.yaml", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (shared / name).read_bytes()


def test_a_backbone_of_a_local_file_goes_along(settings_of, pictures, tmp_path):
    tower = VisionTransformer(img_size=224, patch_size=16, embed_dim=192, depth=12, num_heads=3, num_classes=0)
    save_file(tower.state_dict(), tmp_path / "tiny.safetensors")
    own = f"experts.visual.backbone.weights={tmp_path / 'tiny.safetensors'}"
    parts = ["experts.visual.backbone.name=vit_tiny_patch16_224", "experts.visual.backbone.image_size=16", own]
    quick = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"]
    fit(settings_of(tmp_path / "run", *parts, *quick))
    (tmp_path / "shared").mkdir()
    list(write_hugging_face(tmp_path / "run", tmp_path / "shared", "tiny", "unknown"))
    images = sorted(pictures.glob("test/*/*.png"))
    expected = lptpp.load(tmp_path / "run").predict(images, top_k=4)
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "tiny.safetensors").unlink()
    moved = Path(shutil.move(tmp_path / "shared", tmp_path / "elsewhere"))
    assert lptpp.load(moved).predict(images, top_k=4) == expected
    assert str(tmp_path) not in (moved / "config.yaml").read_text()


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.json", None, r"config\.json"),
        ("config.json", b"{", r"config\.json"),
        ("config.json", b"[]", r"config\.json"),
        ("config.json", b'{"lptpp_version": "9", "lptpp_format": 99}', r"copy \(lptpp 9\) .*format 99"),
        ("config.yaml", None, r"no config\.yaml"),
        ("config.yaml", b"data: {sauce: x}", r"config\.yaml is missing or changed"),
        ("model.safetensors", b"cut", r"model\.safetensors is missing or changed"),
        ("metrics.json", None, r"metrics\.json is missing or changed"),
    ],
)
def test_a_damaged_folder_is_refused(name, content, message, copy):
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        lptpp.load(copy)


def seal(folder: Path, **changes: object) -> None:
    """Write the facts of a folder again, as if it had been exported with its present files."""
    path = folder / "config.json"
    facts = json.loads(path.read_text())
    facts["files"] = {name: file_digest(folder / name) for name in facts["files"]}
    path.write_text(json.dumps(sealed(facts | changes)))


@pytest.mark.parametrize("name", ["config.json", "config.yaml", "metrics.json", "model.safetensors"])
def test_a_change_of_any_byte_is_refused(name, copy):
    content = (copy / name).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 20).tolist():
        changed = bytearray(content)
        changed[place] ^= 1
        (copy / name).write_bytes(changed)
        if name != "config.json" or not same_json(content, changed):
            with pytest.raises(UserError, match=f"{name}|format 1"):
                shared_run(copy)


def same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "files", [{}, [], {"model.safetensors": "0"}, {"model.safetensors": "", "config.yaml": "", "../x": ""}]
)
def test_a_folder_that_does_not_list_its_files_is_refused(files, copy):
    seal(copy, files=files)
    with pytest.raises(UserError, match="export again"):
        shared_run(copy)


def test_weights_of_another_model_are_refused(copy):
    weights = load_file(copy / "model.safetensors")
    weights.pop("scorer.last.bias")
    save_file(weights, copy / "model.safetensors")
    seal(copy)
    with pytest.raises(UserError, match=r"scorer\.last\.bias"):
        lptpp.load(copy)


def test_a_run_that_was_not_evaluated_is_refused(trained, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"metrics\.json does not exist"):
        list(write_hugging_face(run, tmp_path, "x", "unknown"))


def test_any_other_folder_is_none(trained, tmp_path):
    assert shared_folder(tmp_path) is None
    assert shared_folder(trained.folder) is None
    assert shared_folder("nowhere") is None


@pytest.mark.parametrize("name", ["hf://me/fruit", Path("hf://me/fruit"), "hf://me/fruit@v1.0"])
def test_a_name_at_the_hub_is_fetched(name, shared, monkeypatch):
    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: asked.append((a, k)) or str(shared))
    assert lptpp.load(name).class_names == ["apple", "bear", "car", "dog"]
    revision = "v1.0" if "@" in str(name) else None
    assert asked == [(("me/fruit",), {"revision": revision, "allow_patterns": FILES})]


def test_what_cannot_be_fetched_is_one_sentence(monkeypatch):
    def fails(*arguments, **options):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(UserError, match=r"hf://me/fruit .*\(LocalEntryNotFoundError: no network\)"):
        lptpp.load("hf://me/fruit")
    for name in ("hf://fruit", "hf://me/fruit/more", "hf://../../x/y@"):
        with pytest.raises(UserError, match="hf://owner/name"):
            lptpp.load(name)


class Hub:
    """Stands for the hub: notes what it is asked."""

    def __init__(self, token: str) -> None:
        self.token = token

    def create_repo(self, name: str, **options) -> str:
        Hub.asked = [(self.token, name, options)]
        if name == "someone/else":
            raise PermissionError("403\nForbidden")
        return f"https://huggingface.co/{name}"

    def upload_folder(self, **options) -> None:
        Hub.asked.append(options)


def test_a_push_is_private_and_of_these_files_alone(shared, monkeypatch):
    monkeypatch.setattr(hugging_face, "token", lambda: "secret")
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert push(shared, "me/fruit") == "https://huggingface.co/me/fruit"
    assert Hub.asked[0] == ("secret", "me/fruit", {"private": True, "exist_ok": True})
    assert (Hub.asked[1]["folder_path"], Hub.asked[1]["allow_patterns"]) == (shared, FILES)
    with pytest.raises(UserError, match=r"someone/else failed \(PermissionError: 403 Forbidden\)"):
        push(shared, "someone/else")


def test_without_a_token_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="hf auth login"):
        token()


def test_the_card_opens_with_what_the_hub_reads(shared):
    text = (shared / "README.md").read_text(encoding="utf-8")
    top = yaml.safe_load(text.split("---\n")[1])
    assert (top["license"], top["library_name"], top["pipeline_tag"]) == ("apache-2.0", "lptpp", "image-classification")
    assert {"lptpp", "long-tailed-recognition"} <= set(top["tags"])
    (card,) = top["model-index"][0]["results"]
    metrics = json.loads((shared / "metrics.json").read_text())
    result = metrics["rows"][metrics["result"]]
    assert [one["value"] for one in card["metrics"]] == [
        pytest.approx(result[key], abs=0.01) for key in ("overall", "mean_class")
    ]
