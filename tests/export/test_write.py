from pathlib import Path

import pytest

from lptpp.export import hugging_face
from lptpp.export import write as run
from lptpp.export.write import Options, appearing, export_run
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


def test_nothing_appears_where_something_fails(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(UserError), appearing(output) as folder:
        (folder / "a").write_text("1")
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "form, options, told",
    [
        ("onxx", Options(), "--to onxx: did you mean onnx?"),
        ("onnx", Options(push="me/x"), "--push and --license go with --to huggingface, not --to onnx"),
        ("torch", Options(license="mit"), "--push and --license go with --to huggingface, not --to torch"),
        ("huggingface", Options(pictures=[Path("a.png")]), "--picture goes with --to onnx and --to torch"),
    ],
)
def test_what_does_not_go_together_is_told_first(form, options, messages, tmp_path):
    with pytest.raises(UserError) as error:
        list(export_run(tmp_path / "nowhere", form, None, options))
    assert messages in str(error.value)


def test_a_run_that_is_not_there_and_an_output_that_is_a_file_are_told(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="holds no trained run"):
        list(export_run(tmp_path, "torch", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"hf:/me/x is no folder: name a run .* or the place to write to by --output"):
        list(export_run(Path("hf://me/x"), "torch"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file: name a folder"):
        list(export_run(trained.folder, "huggingface", tmp_path / "file"))


def test_a_push_asks_for_the_token_before_and_uploads_after(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="--push needs a Hugging Face token"):
        list(export_run(trained.folder, "huggingface", tmp_path / "out", Options(push="me/x")))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(run, "token", lambda: "secret")
    monkeypatch.setattr(run, "push", lambda folder, name: f"{name} with {len(list(folder.iterdir()))} files")
    lines = list(export_run(trained.folder, "huggingface", tmp_path / "out", Options(license="mit", push="me/x")))
    assert lines[-1] == "Pushed to me/x with 7 files, private until you change that there"
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()
    assert hugging_face.token is not run.token
