"""Settings that the source does not read, paths that do not exist, and files that are no settings are refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lptpp.config import DataSettings, load_settings
from lptpp.config.paths import check_data_paths
from lptpp.utils.errors import UserError
from lptpp.utils.paths import refuse_no_run


def refused(source: Path | str, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_settings(source, overrides)
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["data.train_list=t.csv", "data.label_column=label"],
            "data.train_list=t.csv is not a setting",
        ),
        (["data.train_list=t.csv"], "did you mean data.source=csv?"),
        (["data.test_list=t.txt"], "did you mean data.source=list?"),
        (["data.label_column=label"], "it is for csv, parquet, huggingface, webdataset; remove it"),
        (["data.source=csv", "data.train_list=t.csv", "data.split_folders=none"], "data.split_folders=none is not a"),
        (["data.source=huggingface", "data.label_columns=[a,b]"], "data.label_columns=['a', 'b'] is not a"),
        (["data.source=inat2018", "data.test=0.5"], "data.test=0.5 is not a setting of data.source=inat2018"),
    ],
)
def test_a_setting_of_another_source_is_refused(overrides: list[str], words: str, tmp_path: Path) -> None:
    assert words in refused("folder", *overrides)
    assert words in refused(tmp_path, *overrides)


def test_settings_in_files_of_the_user_count_and_those_of_presets_do_not(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: folder.yaml\ndata: {root: here, train_list: t.csv, test: 0.2}\n")
    assert "data.train_list=t.csv" in refused(tmp_path / "mine.yaml")
    (tmp_path / "child.yaml").write_text("extends: mine.yaml\nseed: 1\n")
    assert "data.train_list=t.csv" in refused(tmp_path / "child.yaml")
    assert "data.root=here" in refused(tmp_path / "mine.yaml", "data.source=emoji", "data.train_list=null")
    assert load_settings("table", ["data.source=emoji"]).data.train_list == "table.csv"  # set by the preset
    load_settings("folder", ["data.train_list=null", "data.class_names=names.txt", "data.split_column=null"])


def test_settings_on_the_command_line_of_a_run_count(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: {source: folder, root: here}\n")
    load_settings(tmp_path / "run")
    assert "data.train_list=t.csv" in refused(tmp_path / "run", "data.train_list=t.csv")


def refused_path(**data: str) -> str:
    with pytest.raises(UserError) as error:
        check_data_paths(DataSettings(**data))
    return str(error.value)


def test_paths_that_do_not_exist(tmp_path: Path) -> None:
    root = str(tmp_path)
    for name in ("photos", "README.md", "table.csv"):
        (tmp_path / name).mkdir() if name == "photos" else (tmp_path / name).touch()
    check_data_paths(DataSettings(root=root))
    check_data_paths(DataSettings(source="csv", train_list=f"{root}/*.csv"))
    assert f"did you mean {tmp_path}/photos?" in refused_path(root=f"{root}/foto")
    assert "README.md is a Markdown file, not a folder" in refused_path(root=f"{root}/README.md")
    assert "did you mean table.csv?" in refused_path(source="csv", train_list=f"{root}/tabel.csv")
    assert "train.txt does not exist" in refused_path(source="list", root=root, train_list="train.txt")
    assert "names.txt does not exist (expected the class names)" in refused_path(root=root, class_names="names.txt")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("README.md", "is a Markdown file, expected a folder of images"),
        ("notes.txt", "is a text file"),
        ("table.csv", "to train on it: lptpp fit table data.train_list="),
        ("photo.JPG", "is an image"),
        ("data.yaml", "is a YAML file, but not a settings file of lptpp: it has the keys train, val, names"),
    ],
)
def test_files_that_are_no_settings(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("train: images/train\nval: images/val\nnames: [oak, elm]\n")
    assert words in refused(tmp_path / name)


REFUSED = {  # command lines, and what the answer names
    **dict.fromkeys(
        [
            "fit folder data.root=none",
            "data table data.train_list=none.csv",
            "sweep folder --space lptpp data.root=none",
            "evaluate none",
            "predict none 1.png",
            "predict . none.png",
            "predict . . --views none",
            "predict . . --prior none.csv",
            "predict . . --assumed none",
            "predict . . --temperature none",
            "predict . . --embeddings none.csv",
            "app none",
            "report none",
            "compare . none",
            "export none --to onnx",
        ],
        "none",
    ),
    "fit emoji --time 0s": "time",
    "sweep emoji --space lptpp --trials 0": "trials",
    "predict . . --threshold 70": "threshold=70: ",
    "predict . . --top-k 0": "top_k=0: ",
    "predict . . --batch-size 0": "batch_size=0: ",
    "predict . . --largest-megapixels 0": "largest_megapixels=0: ",
    "app . --largest-megapixels 0": "largest_megapixels=0: ",
    "app . --port 99999": "--port",
    "export . --to none": "onnx",
    "export . --to onnx --license mit": "--license",
}


@pytest.mark.parametrize("given", ["my images", "my images/", "../{here}/my images"])
def test_the_folder_of_the_images_is_not_the_run(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = Path(given.format(here=tmp_path.name))
    images.mkdir()
    refuse_no_run(images)
    run = Path("runs", "my images")
    (run / "checkpoint").mkdir(parents=True)
    (run / "config.yaml").touch()
    with pytest.raises(UserError, match="my images is not a run folder: did you mean runs/my images\\?"):
        refuse_no_run(images)
    refuse_no_run(run)
    (images / "config.json").touch()  # an exported run
    refuse_no_run(images)


FIRST_LINES = {
    "fit emoji": "Loading the data set …",
    "data emoji": "Loading the data set …",
    "sweep emoji --space lptpp": "Loading the data set …",
    "report .": "Loading the results …",
    "compare . .": "Loading the results …",
    "backbones": "Loading timm and open_clip …",
    "predict . .": "Loading the model …",
    "app .": "Loading the model …",
    "export . --to onnx": "Loading the model …",
}
ANSWERS = """
import contextlib, io, json, sys
from lptpp import cli
answers = []
for command in sys.argv[1:]:
    sys.argv = ["lptpp", *command.split()]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            cli.main()
        except SystemExit as end:
            answers.append((end.code, said.getvalue(), sorted({"torch", "matplotlib", "numpy"} & set(sys.modules))))
print(json.dumps(answers))
"""


def test_wrong_paths_and_options_are_answered_before_anything_slow_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ANSWERS, *REFUSED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for (command, named), (status, answer, slow) in zip(REFUSED.items(), json.loads(done.stdout), strict=True):
        assert status == 2 and "Error" in answer and named in answer and not slow, command


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from lptpp import cli
for command in sys.argv[1:]:
    sys.argv = ["lptpp", *command.split()]
    try:
        cli.main()
    except ImportError as error:
        print("without", error.name, file=sys.stderr)
"""


def test_the_first_line_comes_before_anything_slow_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *FIRST_LINES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = [line.split("] ")[-1].strip() for line in done.stderr.splitlines()]
    assert found == [line for first in FIRST_LINES.values() for line in (first, "without torch")]
    assert not done.stdout


WITHOUT_MODELS = """
import sys
from lptpp.config import load_settings
sys.modules["timm"] = sys.modules["open_clip"] = None  # importing them fails
import lptpp.console.data, lptpp.evaluation.compare
from lptpp.data.prepare import preprocessings
assert len(preprocessings(load_settings("emoji"))) == 2  # both bundled
"""


def test_looking_at_data_and_comparing_runs_import_no_models() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_MODELS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
