"""One changed byte anywhere in a finished run: it is refused, or what predictions depend on is the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lptpp
from lptpp.checkpoint.folder import finished_run
from lptpp.utils.digest import DIGEST, file_digest, sealed
from lptpp.utils.errors import UserError

CHANGES = {"config.yaml": 30, "manifest.json": 40, "tuned.safetensors": 20, "optimizer.safetensors": 10}


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def path_of(run: Path, name: str) -> Path:
    return run / name if name == "config.yaml" else run / "checkpoint" / "step-30" / name


def decisive(run: Path) -> tuple[Any, ...]:
    """Return all that predictions depend on, as it is loaded."""
    settings, checkpoint = finished_run(run)
    data = settings.data.resize, settings.data.white_level
    tuned = file_digest(checkpoint.folder / "tuned.safetensors")
    return checkpoint.manifest, tuned, settings.experts, settings.phase3, settings.precision, data


def test_random_changes_are_refused_or_without_effect(run):
    draw, expected, refused = np.random.default_rng(0), decisive(run), 0
    for name, changes in CHANGES.items():
        path = path_of(run, name)
        content = path.read_bytes()
        for _ in range(changes):
            changed = bytearray(content)
            place = int(draw.integers(len(content)))
            changed[place] ^= int(draw.integers(1, 256))
            path.write_bytes(changed)
            try:
                assert decisive(run) == expected, f"byte {place} of {name} is {changed[place]}"
            except UserError:
                refused += 1
        path.write_bytes(content)
    assert refused >= 70  # not: everything is accepted, as the same


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("scale: 20.0", "scale: 30.0", r"experts\.language\.scale: 30\.0, trained with 20\.0"),
        ("precision: float32", "precision: bf16", "precision: bf16, trained with float32"),
        ("hidden: 8", "hidden: 9", r"phase3\.hidden: 9, trained with 8"),
        ("  visual:\n", "  zz:\n", r"experts\."),
    ],
)
def test_changed_settings_are_refused_by_name(before, after, message, run):
    text = (run / "config.yaml").read_text()
    assert before in text
    head, _, tail = text.rpartition(before)
    (run / "config.yaml").write_text(head + after + tail)
    with pytest.raises(UserError, match=rf"config\.yaml was changed after training \(.*{message}"):
        finished_run(run)


def test_experts_in_another_order_are_refused(run, trained):
    text = (run / "config.yaml").read_text()
    head, rest = text.split("experts:\n")
    experts, tail = rest.split("phase1:\n")
    one, other = experts.split("  language:\n")
    (run / "config.yaml").write_text(f"{head}experts:\n  language:\n{other}{one}phase1:\n{tail}")
    with pytest.raises(UserError, match="order of experts"):
        finished_run(run)


def test_settings_that_change_no_prediction_may_differ(run):
    text = (run / "config.yaml").read_text()
    text = text.replace("workers: auto", "workers: 2").replace("balanced: 0", "balanced: 3")
    (run / "config.yaml").write_text(text + "# a remark\n")
    assert finished_run(run)[0].workers == "2"


def test_class_names_in_reverse_are_refused(run):
    path = path_of(run, "manifest.json")
    text = path.read_text()
    path.write_text(text.replace('"apple"', '"x"').replace('"bear"', '"apple"').replace('"x"', '"bear"'))
    with pytest.raises(UserError, match="not finished"):  # the checkpoint before it stands in
        finished_run(run)


def sign(run: Path, **entries: Any) -> None:
    """Change the manifest of the last checkpoint, with the digests that belong to it: as an attacker would."""
    folder = path_of(run, "manifest.json").parent
    content = json.loads((folder / "manifest.json").read_text()) | entries
    content["files"] = {path.name: file_digest(path) for path in folder.glob("*.safetensors")}
    del content[DIGEST]
    (folder / "manifest.json").write_text(json.dumps(sealed(content)))


@pytest.mark.parametrize(
    "entries",
    [
        {"class_names": ["a", "b"]},
        {"class_names": ["a", "a", "b", "c"]},
        {"class_names": [1, None, [], {}]},
        {"class_names": {"a": 1}},
        {"class_names": [], "counts": []},
        {"counts": ["x"] * 4},
        {"counts": [1, 2, 3, -4]},
        {"counts": [1, 2, 3, True]},
    ],
    ids=str,
)
def test_classes_that_are_none_are_refused(entries, run):
    sign(run, **entries)
    with pytest.raises(UserError, match=r"expected distinct names of classes with a number of training images each"):
        finished_run(run)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\xff" * 100], ids=["empty", "pickle", "header"])
def test_weights_that_are_none_are_refused_though_their_digest_is_right(content, run):
    path_of(run, "tuned.safetensors").write_bytes(content)
    sign(run)
    with pytest.raises(UserError, match=r"tuned\.safetensors cannot be read"):
        lptpp.load(run)


@pytest.mark.parametrize(
    "line, message",
    [
        ("seed: ${oc.env:HOME}", r"config\.yaml: seed=\$\{oc\.env:HOME\}: .*cannot refer"),
        ("extends: other.yaml", r"config\.yaml: there is no setting extends"),
    ],
)
def test_settings_of_a_run_read_neither_the_environment_nor_other_files(line, message, run):
    text = "\n".join(one for one in (run / "config.yaml").read_text().splitlines() if not one.startswith("seed:"))
    (run / "config.yaml").write_text(f"{line}\n{text}\n")
    (run / "other.yaml").write_text("seed: 3\n")
    with pytest.raises(UserError, match=message):
        finished_run(run)
