"""Every command of docs/predict.md runs, in order, in a folder as a reader would have it."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lptpp
from lptpp import cli
from lptpp.evaluation.prior import read_prior
from lptpp.training.fit import fit

pytestmark = pytest.mark.usefixtures("no_sections")
PAGE = (Path(__file__).parent.parent / "docs" / "predict.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def run(settings_of, tmp_path_factory) -> Path:
    """A run with a validation split."""
    folder = tmp_path_factory.mktemp("page") / "run"
    quick = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[]"]
    fit(settings_of(folder, "data.validation=0.4", *quick))
    return folder


@pytest.fixture
def reader(run, pictures, tmp_path, monkeypatch) -> Path:
    """A folder with the run, new images, and what the page lists them in."""
    shutil.copytree(run, tmp_path / "runs" / "mine")
    shutil.copytree(pictures / "test" / "apple", tmp_path / "new_images" / "deep")
    shutil.copy(pictures / "test" / "dog" / "0.png", tmp_path / "cat.png")
    (tmp_path / "list.txt").write_text("cat.png\n")
    (tmp_path / "table.csv").write_text("number,file\n1,cat.png\n2,new_images/deep/0.png\n")
    given = json.loads(blocks("json")[0])
    frequencies = dict(zip(["apple", "bear"], given.values(), strict=True)) | {"car": 0, "dog": 50}
    (tmp_path / "frequencies.json").write_text(json.dumps(frequencies))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[0], "predict.md", "exec"), {})  # writes frequencies.csv
    return tmp_path


def test_each_command_runs_and_leaves_its_files(reader, monkeypatch, capsys):
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 10
    for line in lines:
        *before, command = line.split("|")
        given = subprocess.run(before[0], shell=True, capture_output=True, check=True).stdout if before else b""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, line
        for name in re.findall(r"(?:-o|--embeddings) (\S+)", command):
            assert (reader / name).stat().st_size, line
    assert (reader / "predictions.csv").is_file()
    assert (reader / "runs" / "mine" / "temperature.json").is_file()
    assert "mixture.five_crops.temperature=fitted.prior=training" in " ".join(
        json.loads((reader / "runs" / "mine" / "metrics.json").read_text())["rows"]
    )


def test_the_frequencies_written_from_a_run_are_its_training_images(reader):
    model = lptpp.load("runs/mine")
    found = read_prior(Path("frequencies.csv"), model.class_names)
    assert found.tolist() == pytest.approx((model.counts / model.counts.sum()).tolist())


def test_the_table_of_many_frequencies_is_one(tmp_path):
    (tmp_path / "frequencies.csv").write_text(blocks("text")[0])
    names = ["ash", "elm", "maple, red", "oak", "yew"]
    assert read_prior(tmp_path / "frequencies.csv", names).tolist() == pytest.approx(
        [count / 1243 for count in (31, 100, 212, 900, 0)]
    )


def test_the_columns_of_the_page_are_those_of_the_file(reader):
    from lptpp.prediction.options import PredictOptions
    from lptpp.prediction.predict import predict_paths

    predict_paths(Path("runs/mine"), [Path("cat.png")], Path("out.csv"), PredictOptions(top_k=2))
    header = (reader / "out.csv").read_text().splitlines()[0].split(",")
    table = PAGE.split("## Output")[1].split("```")[0]
    named = [
        name for row in re.findall(r"^\| (.*?) \|", table, flags=re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert named == [name for name in header if name != "probability_2"]
