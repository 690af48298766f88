import json
import shutil
from pathlib import Path

import pytest
import torch

from lptpp.checkpoint import store as checkpoint
from lptpp.checkpoint.store import latest_checkpoint, write_checkpoint
from lptpp.utils.errors import UserError


def tensors(value: float) -> dict[str, dict[str, torch.Tensor]]:
    return {"tuned": {"weight": torch.full((3, 2), value)}, "optimizer": {"0.step": torch.tensor(value)}}


def write(root: Path, step: int) -> None:
    write_checkpoint(root, step, tensors(step), {"position": {"stage": "visual/phase1"}})


def write_both(root: Path, tmp_path: Path) -> None:
    """Leave steps 1 and 2 side by side, as a crash between writing and removing does."""
    write(root, 1)
    shutil.copytree(root / "step-1", tmp_path / "kept")
    write(root, 2)
    shutil.copytree(tmp_path / "kept", root / "step-1")


def step_of(root: Path) -> int | None:
    found = latest_checkpoint(root)
    return None if found is None else found.manifest["step"]


def test_what_was_written_is_read_back(tmp_path):
    write(tmp_path, 3)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.manifest["position"] == {"stage": "visual/phase1"}
    for name, content in tensors(3.0).items():
        assert {key: value.tolist() for key, value in found.tensors(name).items()} == {
            key: value.tolist() for key, value in content.items()
        }


def test_the_older_one_goes_once_the_new_one_is_there(tmp_path):
    write(tmp_path, 9)
    write(tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["step-10"]


def test_nothing_but_safetensors_and_a_manifest_is_written(tmp_path):
    write(tmp_path, 1)
    files = sorted((tmp_path / "step-1").iterdir())
    assert [path.name for path in files] == ["manifest.json", "optimizer.safetensors", "tuned.safetensors"]
    for path in files[1:]:
        content = path.read_bytes()
        header = content[8 : 8 + int.from_bytes(content[:8], "little")]
        assert set(json.loads(header)) <= {"weight", "0.step", "__metadata__"}


def spoil_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def cut_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[: len(text) // 2])


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "tuned.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "tuned.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "optimizer.safetensors").unlink(),
        lambda folder: folder.rename(folder.with_name(".step-2.partial")),
        spoil_manifest,
        cut_manifest,
        flip_a_byte,
    ],
    ids=["no manifest", "no file", "partial", "empty manifest", "cut manifest", "one bit flipped"],
)
def test_a_damaged_one_is_passed_over_for_the_one_before(damage, tmp_path):
    root = tmp_path / "checkpoint"
    write_both(root, tmp_path)
    assert step_of(root) == 2
    damage(root / "step-2")
    assert step_of(root) == 1
    write(root, 3)
    assert [path.name for path in root.glob("step-*")] == ["step-3"]


def test_a_damaged_one_is_reported(tmp_path, caplog):
    write(tmp_path, 1)
    flip_a_byte(tmp_path / "step-1")
    assert step_of(tmp_path) is None
    assert str(tmp_path / "step-1") in caplog.text


def test_steps_are_ordered_as_numbers_and_other_folders_are_none(tmp_path):
    root = tmp_path / "checkpoint"
    write(root, 9)
    shutil.copytree(root / "step-9", tmp_path / "kept")
    write(root, 10)
    shutil.copytree(tmp_path / "kept", root / "step-9")
    shutil.copytree(tmp_path / "kept", root / "step-99-old")
    assert step_of(root) == 10
    assert step_of(tmp_path / "nowhere") is None


@pytest.mark.parametrize("fails", ["save_file", "_sha256", "_sync"])
def test_a_failure_while_writing_leaves_the_one_before(fails, tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, fails, full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path, 2)
    assert step_of(tmp_path) == 1
    write(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-2"]


def test_the_one_before_stays_where_the_new_one_cannot_be_read_back(tmp_path, monkeypatch):
    write(tmp_path, 1)
    monkeypatch.setattr(checkpoint, "_valid_manifest", lambda folder: None)
    with pytest.raises(UserError, match=r"step-2 cannot be read back"):
        write(tmp_path, 2)
    monkeypatch.undo()
    assert (tmp_path / "step-1" / "manifest.json").is_file()


def test_a_second_one_at_the_same_step_never_takes_the_first_ones_place(tmp_path, monkeypatch):
    write(tmp_path, 4)
    seen = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, to: (seen.append(step_of(tmp_path)), rename(self, to))[1])
    write(tmp_path, 4)
    assert seen == [4]  # the first was whole until the second was in place
    assert step_of(tmp_path) == 5
