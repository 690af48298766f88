"""Commands on a disk that is full at different moments: one sentence each time, and the same result in the end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lptpp
from lptpp.export.write import SAFE
from lptpp.prediction import predict as prediction
from lptpp.report import page
from tests.disks import Disk, fill, small_disk
from tests.presets import run_lptpp
from tests.training.test_resume import BARE, assert_same_run

pytestmark = pytest.mark.usefixtures("no_sections")
FULL = "No space left on device): make room, then repeat the command."


@pytest.fixture
def until_done(capsys) -> Callable[..., int]:
    """Return a function that repeats a command on a disk that is full after more writes each time, until it is done.

    It returns how often the disk was full.
    """

    def run(folder: Path, rooms: list[int], safe: str, *arguments: object) -> int:
        for failed, room in enumerate([*rooms, None]):
            with Disk(folder, room).mounted():
                status = run_lptpp(*arguments)
            errors = capsys.readouterr().err
            if status == 0:
                return failed
            assert status == 1, errors
            assert "Traceback" not in errors
            assert errors.count("Error: ") == 1, errors
            sentence = errors[errors.index("Error: ") :]
            assert FULL in sentence
            assert sentence.endswith(f"{safe}\n")
            assert not [*folder.rglob(".*.partial"), *folder.glob(".out*")]
        raise AssertionError("never done")

    return run


def test_training_and_evaluation_end_with_the_same_bits(until_done, config, trained, tmp_path):
    """The disk is full at settings, lock, log, record, checkpoints, histories, tables and the report."""
    folder = tmp_path / "run"
    rooms = [0, 1, 3, 5, 9, 13, 20, 31, 32, 31, 30, 29, 14, 18, 22, 25, 28]
    failed = until_done(
        tmp_path, rooms, "resumes from its last checkpoint, if there is one.", "fit", config, f"run={folder}", BARE
    )
    assert failed >= 12
    assert_same_run(folder, trained.folder)
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [
        json.loads(line)["loss"] for line in (trained.folder / "history.jsonl").read_text().splitlines()
    ]
    assert len((folder / "history.csv").read_text().splitlines()) == 11
    assert (folder / "report.html").is_file()


def test_predictions_end_with_the_same_bytes(until_done, trained, pictures, tmp_path, monkeypatch):
    model = lptpp.load(trained.folder)
    monkeypatch.setattr(prediction, "load", lambda run: model)
    arguments = ["predict", trained.folder, pictures / "test", "--batch-size", 5]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_lptpp(*arguments, "-o", whole / "out.csv", "--embeddings", whole / "out.npy") == 0
    rest = ["-o", broken / "out.csv", "--embeddings", broken / "out.npy"]
    safe = f"Predictions resume from the last complete batch in {broken / 'out.csv.partial'}, if there is one."
    assert until_done(broken, [*range(25)], safe, *arguments, *rest) >= 10
    for name in ("out.csv", "out.npy"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in broken.iterdir()) == ["out.csv", "out.csv.json", "out.npy"]


def test_a_sweep_records_no_failed_trial(until_done, config, tmp_path, monkeypatch):
    """A disk that is full is not a trial that failed."""
    (tmp_path / "space.yaml").write_text("phase1.learning_rate: {low: 0.001, high: 0.1, log: true}\n")
    monkeypatch.setattr(page, "page", lambda run, sections: "report")
    monkeypatch.setattr(page, "_sections", lambda run: [])
    options = ["method=linear_probe", "data.validation=0.4", "phase1.epochs=1", BARE]
    arguments = ["sweep", config, *options, "--space", tmp_path / "space.yaml", "--trials", 1, "--metric", "overall"]
    assert run_lptpp(*arguments, "-o", tmp_path / "whole") == 0
    failed = until_done(tmp_path, [0, 2, 5, 25, 44, 55, 58], "", *arguments, "-o", tmp_path / "broken")
    assert failed >= 5
    for name in ("trials.csv", "best.yaml"):
        expected = (tmp_path / "whole" / name).read_text().replace("whole", "broken")
        assert (tmp_path / "broken" / name).read_text() == expected


def test_a_report_that_is_not_written_leaves_the_old_one(until_done, trained, tmp_path, monkeypatch):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    monkeypatch.setattr(page, "page", lambda run, sections: "new")
    monkeypatch.setattr(page, "_sections", lambda run: [])
    assert until_done(tmp_path, [0, 1, 2], "Files that were complete before are unchanged.", "report", run) == 3
    assert (run / "report.html").read_text() == "new\n"[:3]


def test_no_part_of_an_export_is_left(until_done, trained, tmp_path):
    rooms = [0, 2, 5, 8, 12]
    arguments = ["export", trained.folder, "--to", "huggingface", "-o", tmp_path / "out"]
    assert until_done(tmp_path, rooms, SAFE, *arguments) == len(rooms)
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


def test_an_evaluation_of_new_images(until_done, trained, pictures, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    arguments = ["evaluate", run, "evaluation.baselines=[]", "--on", pictures / "test", "--name", "new"]
    assert until_done(tmp_path, [0, 5, 17], "unchanged.", *arguments) == 3
    assert (run / "evaluations" / "new" / "metrics.json").is_file()


def test_the_tables_of_a_data_set(until_done, config, tmp_path):
    arguments = ["data", config, "-o", tmp_path / "tables", "--no-images"]
    assert until_done(tmp_path, [0, 1, 4, 8], "unchanged.", *arguments) == 4


def test_a_run_on_a_disk_that_is_really_full(trained, config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(page, "page", lambda run, sections: "report")
    monkeypatch.setattr(page, "_sections", lambda run: [])
    with small_disk(tmp_path / "disk", 8000) as disk:
        run = Path(shutil.copytree(trained.checkpoints[7], disk / "run"))
        ballast = fill(disk, left=8)
        assert run_lptpp("fit", config, f"run={run}", BARE) == 1
        assert FULL in capsys.readouterr().err
        assert not list(run.rglob("*.partial"))
        ballast.unlink()
        assert run_lptpp("fit", config, f"run={run}", BARE) == 0
        assert_same_run(run, trained.folder)
