import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lptpp.checkpoint import store as checkpoint
from lptpp.checkpoint.store import latest_checkpoint, load_tuned, remove_leftovers, write_checkpoint
from lptpp.utils.digest import sealed
from lptpp.utils.errors import UserError


def tensors(value: float) -> dict[str, dict[str, torch.Tensor]]:
    return {"tuned": {"weight": torch.full((3, 2), value)}, "optimizer": {"0.step": torch.tensor(value)}}


def write(root: Path, step: int) -> None:
    write_checkpoint(root, step, tensors(step), {"position": {"stage": "visual/phase1"}})


def write_both(root: Path) -> None:
    write(root, 1)
    write(root, 2)


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


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_last_two_are_kept(tmp_path):
    for step in (8, 9, 10):
        write(tmp_path, step)
    assert names(tmp_path) == ["step-10", "step-9"]


@pytest.mark.parametrize("keep, kept", [(1, ["step-4"]), (3, ["step-2", "step-3", "step-4"])])
def test_as_many_are_kept_as_asked(keep, kept, tmp_path):
    for step in (1, 2, 3, 4):
        write_checkpoint(tmp_path, step, tensors(step), {}, keep)
    assert names(tmp_path) == kept


def test_a_damaged_one_does_not_count_among_the_kept(tmp_path):
    for step in (1, 2):
        write(tmp_path, step)
    flip_a_byte(tmp_path / "step-2")
    write(tmp_path, 3)
    assert names(tmp_path) == ["step-1", "step-3"]


def test_nothing_but_safetensors_and_a_manifest_is_written(tmp_path):
    write(tmp_path, 1)
    files = sorted((tmp_path / "step-1").iterdir())
    assert [path.name for path in files] == ["manifest.json", "optimizer.safetensors", "tuned.safetensors"]
    for path in files[1:]:
        content = path.read_bytes()
        header = content[8 : 8 + int.from_bytes(content[:8], "little")]
        assert set(json.loads(header)) <= {"weight", "0.step", "__metadata__"}


def change_manifest(folder: Path, **changes: object) -> None:
    """Change the manifest without its digest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseal(folder: Path, **changes: object) -> None:
    """Change the manifest and its digest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | changes)))


def as_device(folder: Path) -> None:
    (folder / "tuned.safetensors").unlink()
    (folder / "tuned.safetensors").symlink_to("/dev/zero")


def as_pipe(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


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
        as_device,
        as_pipe,
        lambda folder: change_manifest(folder, position={"stage": "visual/phase2"}),
        lambda folder: change_manifest(folder, digest="0" * 64),
        lambda folder: reseal(folder, files={}),
        lambda folder: reseal(folder, files={"tuned.safetensors": "0" * 64, "/dev/zero": "0"}),
        lambda folder: reseal(folder, files={"tuned.safetensors": "0" * 64, "../step-1/tuned.safetensors": "0"}),
    ],
    ids=[
        "no manifest",
        "no file",
        "partial",
        "empty manifest",
        "cut manifest",
        "one bit flipped",
        "device",
        "pipe",
        "changed manifest",
        "changed digest",
        "no files",
        "device in manifest",
        "file elsewhere",
    ],
)
def test_a_damaged_one_is_passed_over_for_the_one_before(damage, tmp_path):
    root = tmp_path / "checkpoint"
    write_both(root)
    assert step_of(root) == 2
    damage(root / "step-2")
    assert step_of(root) == 1
    write(root, 3)
    assert sorted(path.name for path in root.glob("step-*")) == ["step-1", "step-3"]


def test_falling_back_is_reported(tmp_path, caplog):
    write_both(tmp_path)
    flip_a_byte(tmp_path / "step-2")
    assert step_of(tmp_path) == 1
    assert caplog.messages == [
        f"{tmp_path}: damaged checkpoint (step-2: tuned.safetensors is changed). The older step-1 is used."
    ]


def test_where_all_are_damaged_nothing_starts_again_unasked(tmp_path):
    write_both(tmp_path)
    flip_a_byte(tmp_path / "step-1")
    cut_manifest(tmp_path / "step-2")
    with pytest.raises(UserError, match=r"step-2: .*; step-1: .* restore it from a copy, or delete it to train"):
        latest_checkpoint(tmp_path)
    assert names(tmp_path) == ["step-1", "step-2"]


def test_weights_that_are_not_finite_are_refused(tmp_path):
    linear = SimpleNamespace(tuned_state=lambda: {"weight": torch.zeros(2)})
    for value in (float("nan"), float("inf")):
        written = write_checkpoint(tmp_path, 1, {"tuned": {"weight": torch.tensor([0.0, value])}}, {})
        with pytest.raises(UserError, match="weight has values that are not finite"):
            load_tuned(linear, written)


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    root = tmp_path / "checkpoint"
    (root / ".step-7.partial").mkdir(parents=True)
    gone = [tmp_path / ".history.jsonl.999999999.partial", root / ".images.safetensors.999999999.partial"]
    stays = [tmp_path / f".report.html.{os.getppid()}.partial", tmp_path / ".mine.partial"]
    for path in gone + stays:
        path.touch()
    remove_leftovers(tmp_path)
    assert not any(path.exists() for path in [*gone, root / ".step-7.partial"])
    assert all(path.exists() for path in stays)


def test_steps_are_ordered_as_numbers_and_other_folders_are_none(tmp_path):
    root = tmp_path / "checkpoint"
    write(root, 9)
    write(root, 10)
    shutil.copytree(root / "step-9", root / "step-99-old")
    assert step_of(root) == 10
    assert step_of(tmp_path / "nowhere") is None


@pytest.mark.parametrize("fails", ["save_file", "file_digest", "_sync"])
def test_a_failure_while_writing_leaves_the_one_before(fails, tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, fails, full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path, 2)
    assert names(tmp_path) == ["step-1"]
    write(tmp_path, 2)
    assert step_of(tmp_path) == 2


def test_the_one_before_stays_where_the_new_one_cannot_be_read_back(tmp_path, monkeypatch):
    write(tmp_path, 1)

    def damaged(folder):
        raise checkpoint.Damaged("tuned.safetensors is changed")

    monkeypatch.setattr(checkpoint, "_valid_manifest", damaged)
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
