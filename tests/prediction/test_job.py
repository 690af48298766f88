import json
from pathlib import Path

import pytest

from lptpp.prediction.resume import (
    INPUTS,
    JOB,
    NEW_INPUTS,
    Job,
    alone,
    begin,
    finish,
    note,
    partial,
    read_job,
    summary_of,
)
from lptpp.utils.errors import UserError

IDENTITY = {"model": "m", "inputs": {"count": 2, "sha256": "i"}, "options": {"top_k": 5, "views": "one"}}
OTHERS = {
    "of /runs/a, not of /runs/b": IDENTITY | {"model": "n"},
    "inputs": IDENTITY | {"inputs": {"count": 2, "sha256": "j"}},
    r"\(top_k was 5, now 3\)": IDENTITY | {"options": {"top_k": 3, "views": "one"}},
}


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out.csv"


def job_of(identity: dict) -> Job:
    return Job(identity, {"paths": ["list.txt"]}, 8, [0], f"/runs/{'a' if identity['model'] == 'm' else 'b'}")


def computed(output: Path, identity: dict = IDENTITY) -> Path:
    """Return a file that stands for what the job has computed."""
    folder = job_of(identity).parts(output)
    folder.mkdir()
    (folder / "rows").write_text("row\n")
    return folder / "rows"


def started(output: Path, identity: dict = IDENTITY, overwrite: bool = False, embeddings: Path | None = None) -> bool:
    outputs = [output] if embeddings is None else [output, embeddings]
    with alone(output):
        (partial(output) / NEW_INPUTS).write_text(identity["inputs"]["sha256"])
        return begin(outputs, job_of(identity), overwrite)


def finished(output: Path, identity: dict = IDENTITY) -> None:
    started(output, identity)
    output.write_text("old")
    with alone(output):
        finish(output, job_of(identity), {"rows": 2})


def test_a_new_job_keeps_its_inputs_and_the_same_job_goes_on(output):
    assert started(output)
    rows = computed(output)
    assert started(output)
    assert rows.exists()
    assert {path.name for path in partial(output).iterdir()} >= {JOB, INPUTS}
    assert not (partial(output) / NEW_INPUTS).exists()
    assert json.loads((partial(output) / JOB).read_text()).items() >= IDENTITY.items()
    assert read_job(output) == job_of(IDENTITY)
    assert (partial(output) / INPUTS).read_text() == "i"


def test_a_finished_job_leaves_the_output_and_its_note_alone(output):
    finished(output)
    assert {path.name for path in output.parent.iterdir()} == {"out.csv", "out.csv.json"}
    assert summary_of(output) == {"rows": 2}
    assert not started(output)
    assert not partial(output).exists()


@pytest.mark.parametrize("message, identity", OTHERS.items())
def test_another_job_is_refused_whether_the_first_is_finished_or_not(message, identity, output):
    started(output)
    with pytest.raises(UserError, match=rf"out\.csv\.partial .*{message}"):
        started(output, identity)
    assert (partial(output) / INPUTS).read_text() == "i"
    output.write_text("")
    with alone(output):
        finish(output, job_of(IDENTITY), {})
    with pytest.raises(UserError, match=rf"out\.csv .*{message}.*--output.*--overwrite"):
        started(output, identity)


def test_overwriting_begins_anew_and_keeps_the_old_output_until_the_end(output):
    finished(output)
    (output.parent / "x").mkdir()
    assert started(output, overwrite=True)  # also of the same job
    rows = computed(output)
    other = IDENTITY | {"model": "n"}
    assert started(output, other, overwrite=True)
    assert not rows.exists()
    rows = computed(output, other)
    assert started(output, other, overwrite=True)  # after a stop the same command goes on
    assert rows.exists()
    assert output.read_text() == "old"


def test_a_file_of_something_else_is_refused(output):
    output.write_text("mine")
    with pytest.raises(UserError, match=r"out\.csv .*--output"):
        started(output)
    note(output).write_text("{broken")
    with pytest.raises(UserError, match=r"out\.csv .*--output"):
        started(output)
    assert output.read_text() == "mine"
    assert not partial(output).exists()


def test_features_of_something_else_are_refused_too(output):
    embeddings = output.with_name("features.npy")
    embeddings.write_text("mine")
    with pytest.raises(UserError, match=r"features\.npy .*--output"):
        started(output, embeddings=embeddings)
    assert started(output, embeddings=embeddings, overwrite=True)


def test_a_folder_with_files_of_something_else_is_left_there(output):
    partial(output).mkdir()
    (partial(output) / "mine.txt").touch()
    finished(output)
    assert [path.name for path in partial(output).iterdir()] == ["mine.txt"]
