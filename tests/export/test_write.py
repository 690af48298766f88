import os
from pathlib import Path

import huggingface_hub
import pytest

from lptpp.export.card import plain_text
from lptpp.export.options import ExportOptions
from lptpp.export.write import appearing, export_run
from lptpp.utils.errors import UserError


def test_files_appear_together_and_leave_others_alone(tmp_path):
    output = tmp_path / "new" / "out"
    with appearing(output) as folder:
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")
        assert not output.exists()
    (output / "own").write_text("mine")
    with appearing(output) as folder:
        (folder / "a").write_text("3")
    assert {path.name: path.read_text() for path in output.iterdir()} == {"a": "3", "b": "2", "own": "mine"}
    assert list(output.parent.iterdir()) == [output]


def test_nothing_appears_if_something_fails(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(UserError), appearing(output) as folder:
        (folder / "a").write_text("1")
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_exports_left_is_removed_by_the_next(tmp_path):
    left, running = tmp_path / ".out.999999999.partial", tmp_path / f".out.{os.getppid()}.partial"
    for folder in (left, running, tmp_path / ".out.x.partial"):
        folder.mkdir()
        (folder / "a").write_text("1")
    with appearing(tmp_path / "out") as folder:
        (folder / "a").write_text("2")
    assert {path.name for path in tmp_path.iterdir()} == {"out", running.name, ".out.x.partial"}


@pytest.mark.parametrize(
    "form, options, message",
    [
        ("onxx", ExportOptions(), "--to onxx: did you mean onnx"),
        ("onnx", ExportOptions(push="me/x"), "--push .* --to huggingface, not --to onnx"),
        ("torch", ExportOptions(license="mit"), "--license .* --to huggingface, not --to torch"),
        ("huggingface", ExportOptions(images=[Path("a.png")]), "--image .* --to onnx or --to torch"),
    ],
)
def test_conflicting_options_are_refused_first(form, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        list(export_run(tmp_path / "nowhere", form, None, options))


def test_a_missing_run_and_an_output_that_is_a_file_are_refused(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=str(tmp_path)):
        list(export_run(tmp_path, "torch", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"hf:/me/x .* --output"):
        list(export_run(Path("hf://me/x"), "torch"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--output: .*file is a file"):
        list(export_run(trained.folder, "huggingface", tmp_path / "file"))


class Hub:
    """A Hub that keeps what is uploaded to it."""

    def __init__(self, token: str) -> None:
        self.token = token

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> str:
        assert (self.token, private) == ("secret", True)
        return f"https://hub/{name}"

    def upload_folder(self, folder_path: Path, **options: object) -> None:
        Hub.uploaded = {path.name for path in folder_path.iterdir()}


def test_a_push_requires_a_token_first_and_uploads_last(trained, tmp_path, monkeypatch):
    options = ExportOptions(license="mit", push="me/x")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match=r"--push .*token"):
        list(export_run(trained.folder, "huggingface", tmp_path / "out", options))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    lines = list(export_run(trained.folder, "huggingface", tmp_path / "out", options))
    assert "https://hub/me/x" in lines[-1]
    assert Hub.uploaded == {path.name for path in (tmp_path / "out").iterdir()}
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_is_named_after_the_run_and_not_after_its_folder(trained, tmp_path):
    list(export_run(trained.folder, "huggingface", tmp_path / "huggingface"))
    card = (tmp_path / "huggingface" / "README.md").read_text(encoding="utf-8")
    assert f"\n# {plain_text(trained.folder.name)}\n" in card
    assert f"- name: {trained.folder.name}\n" in card
    assert 'lptpp.load("path/to/this/folder")' in card
