import csv
import inspect
import io
import json
import logging
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path
from typing import Any

import pytest
import typer

from lptpp import cli
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.cli import program
from lptpp.config import resolve
from tests import golden
from tests.presets import run_lptpp
from tests.ranks import forked

pytestmark = pytest.mark.usefixtures("no_sections")
COMMANDS = [
    "fit", "presets", "backbones", "init", "data", "evaluate", "predict", "app", "report", "compare", "sweep", "export",
]  # fmt: skip


@pytest.fixture
def lptpp(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: its exit status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        status = run_lptpp(*arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_an_example(command, lptpp):
    status, out, _ = lptpp(command, "--help")
    assert status == 0
    assert f"lptpp {command}" in out.split("Example")[1]


def test_the_words_of_the_help():
    """Not their layout, which differs between versions of typer."""
    group: Any = typer.main.get_command(cli.app)
    assert list(group.commands) == COMMANDS
    parts = [f"lptpp\n\n{group.help}\n\n{group.epilog}\n"]
    for name, command in group.commands.items():
        lines = [f"  {' '.join(one.opts + one.secondary_opts)}: {one.help}" for one in command.params]
        parts.append("\n".join([f"lptpp {name}", "", inspect.cleandoc(command.help), "", *lines, ""]))
    text = "\n\n".join(parts)
    assert not any(folder in text for folder in ("docs/", "benchmarks/", "configs/"))  # not in the wheel
    golden.check("help", text)


def test_without_a_command_all_of_them_are_listed(lptpp):
    assert "".join(lptpp()[1:]).split() == lptpp("--help")[1].split()


def test_presets_are_listed_and_copied(lptpp, tmp_path):
    status, out, _ = lptpp("presets")
    assert status == 0
    assert {"emoji", "folder", "lptpp"} <= {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert lptpp("presets", "lpt_places")[:2] == (0, f"{resolve.preset_header('lpt_places')}\n")
    assert "did you mean lpt_places" in lptpp("presets", "lpt_place")[2]
    assert lptpp("init", "folder", tmp_path / "mine.yaml")[:2] == (0, f"Wrote {tmp_path / 'mine.yaml'}.\n")
    status, _, err = lptpp("init", "folder", tmp_path / "mine.yaml")
    assert status == 2
    assert "mine.yaml exists" in err


def test_a_folder_of_images_is_enough(lptpp, config, pictures, tmp_path, monkeypatch):
    """The preset is replaced by a small one; `cp -r` is what a user has done."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "my images")
    shutil.copy(config, Path("folder.yaml"))
    monkeypatch.setattr(resolve, "FOLDER", tmp_path)
    quick = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"]
    assert lptpp("data", "my images/", "--no-images")[0] == 0
    assert lptpp("fit", "my images/", *quick)[0] == 0
    assert latest_checkpoint(Path("runs", "my images", "checkpoint")).manifest["finished"]
    assert lptpp("fit", "runs/my images")[0] == 0


def test_fit_trains_prints_the_table_and_leaves_its_files(lptpp, config, tmp_path):
    folder = tmp_path / "run"
    overrides = ["method=lpt", "phase1.epochs=1", "phase2.epochs=1", "evaluation.baselines=[]"]
    status, out, _ = lptpp("fit", config, f"run={folder}", *overrides)
    assert status == 0
    assert "lpt: accuracy in % on the test split (12 images, seed 0)" in out
    assert "many: more than 6 training images, medium: 2 to 6, few: fewer than 2" in out
    for text in ("visual, phase 2", "Overall", "Parameters: ", f"Run folder: {folder}"):
        assert text in out
    assert f"Report: {folder / 'report.html'}" in out
    files = {"checkpoint", "config.yaml", "log.txt", "metrics.json", "history.csv", "history.jsonl"}
    files |= {"groups.csv", "group_sets.csv", "report.html", ".lock"}
    assert files | {"per_class.csv", "predictions.csv", "confusion.csv"} == {path.name for path in folder.iterdir()}
    assert "visual/phase2 epoch 1 of 1: loss" in (folder / "log.txt").read_text()
    assert lptpp("fit", folder)[0] == 0  # a run folder stands for its settings


def test_evaluate_prints_the_table_again(lptpp, run, monkeypatch):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("tracker: none", "tracker: wandb"))
    monkeypatch.setitem(sys.modules, "wandb", None)  # not needed here
    status, out, _ = lptpp("evaluate", run, "evaluation.shot_thresholds=[4,7]", "evaluation.baselines=[]")
    assert status == 0
    assert "many: more than 7 training images, medium: 4 to 7" in out
    assert "Mean scorer weights: many visual 0." in out
    assert out.count("%), ") == 3


def test_report_writes_one_file_where_asked(lptpp, run, tmp_path):
    status, out, err = lptpp("report", run, "--output", tmp_path / "new" / "a.html")
    assert (status, out, err) == (0, f"Report: {tmp_path / 'new' / 'a.html'}\n", "")
    (run / "report.html").unlink(missing_ok=True)
    assert lptpp("report", run)[1] == f"Report: {run / 'report.html'}\n"
    assert (run / "report.html").read_bytes() != b""


def test_predict_prints_what_it_wrote(lptpp, run, pictures, tmp_path):
    images = [pictures / "test" / "apple" / "0.png", pictures / "test" / "dog"]
    status, out, _ = lptpp("predict", run, *images, "--output", tmp_path / "out.csv", "--top-k", "2")
    assert status == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        assert f"{row['image']}: {row['label_1']} ({float(row['probability_1']):.0%})" in out
    assert f"4 images, 0 unreadable. Predictions: {tmp_path / 'out.csv'}" in out


def test_predict_prints_images_as_a_table_and_writes_no_file(lptpp, run, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place, image in enumerate(sorted(pictures.glob("test/dog/*.png"))[:2]):
        shutil.copy(image, tmp_path / f"{place}.png")
    (tmp_path / "bad.png").touch()
    before = set(tmp_path.iterdir())
    status, out, _ = lptpp("predict", run, "0.png", "1.png", "bad.png", "--top-k", "2")
    assert status == 1 and "the file is empty" in out
    assert "│ 0.png" in out and "│ 1.png" in out and out.count("%") == 4
    assert set(tmp_path.iterdir()) == before
    lptpp("predict", run, pictures / "test" / "dog")
    assert (tmp_path / "predictions.csv").is_file()  # a folder
    status, _, err = lptpp("predict", run, pictures / "test" / "car")
    assert status == 2 and "use another --output, or replace it with --overwrite" in err


def test_predict_reads_paths_from_standard_input_and_shows_uncertain_predictions(
    lptpp, run, pictures, tmp_path, monkeypatch
):
    lines = f"{pictures}/test/apple/0.png\n{tmp_path}/gone.png\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    options = ["--threshold", "1", "--views", "flip", "--temperature", "2", "--prior", "training", "-k", "1"]
    features = tmp_path / "features.parquet"
    status, out, _ = lptpp("predict", run, "-", "-o", tmp_path / "out.jsonl", "--embeddings", features, *options)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert status == 1
    assert (rows[0]["prediction"], rows[1]["error"]) == (None, "cannot be read: file not found")
    best = f"{rows[0]['label_1']} ({rows[0]['probability_1']:.0%})"
    assert f"{pictures}/test/apple/0.png: uncertain, possibly {best}" in out
    assert "2 images, 1 uncertain (below the threshold, the prediction is empty), 1 unreadable." in out
    assert features.is_file()


def test_predict_says_when_nothing_is_left_to_do(lptpp, run, pictures, tmp_path, caplog):
    command = ["predict", run, pictures / "test" / "dog", "-o", tmp_path / "out.csv"]
    first = lptpp(*command)
    with caplog.at_level(logging.INFO, logger="lptpp"):
        assert lptpp(*command)[:2] == first[:2]
    assert "--overwrite" in caplog.text
    status, _, err = lptpp("predict", run, pictures / "test" / "car", "-o", tmp_path / "out.csv")
    assert status == 2
    assert "out.csv" in err


def test_predict_ends_with_status_1_where_an_image_is_unreadable(lptpp, run, pictures, tmp_path):
    (tmp_path / "bad.png").touch()
    (tmp_path / "list.txt").write_text(f"{pictures / 'test' / 'car' / '0.png'}\n{tmp_path / 'bad.png'}\n")
    status, out, _ = lptpp("predict", run, tmp_path / "list.txt", "-o", tmp_path / "out.parquet")
    assert status == 1
    assert f"{tmp_path / 'bad.png'}: cannot be read: the file is empty" in out
    assert "2 images, 1 unreadable" in out
    assert (tmp_path / "out.parquet").is_file()


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_compare_writes_all_rows_of_all_runs(suffix, lptpp, run, trained, tmp_path):
    output = tmp_path / "new" / f"table.{suffix}"
    status, out, _ = lptpp("compare", run, trained.folder, "-o", output)
    assert status == 0
    assert "Comparison of runs" in out and "Settings that differ" not in out
    text = output.read_text()
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    assert [(row["run"], row["row"]) for row in rows] == [
        (str(folder), row) for folder in (run, trained.folder) for row in trained.metrics["rows"]
    ]
    assert float(rows[-1]["overall"]) == pytest.approx(trained.metrics["rows"]["mixture"]["overall"])


def test_compare_names_the_settings_that_differ(lptpp, run, trained):
    config = run / "config.yaml"
    text = config.read_text().replace("\nseed: 0", "\nseed: 5")
    config.write_text(text.replace("weight_decay: 0.01", "weight_decay: 0.1", 1))
    status, out, _ = lptpp("compare", run, trained.folder)
    assert status == 0 and "\nSettings that differ: phase1.weight_decay 0.1 and 0.01.\n" in out


def test_data_shows_counts_parts_and_unreadable_images(lptpp, config, pictures, tmp_path):
    root = Path(shutil.copytree(pictures, tmp_path / "data"))
    status, out, _ = lptpp("data", config, f"data.root={root}", "data.validation=0.3", "-o", tmp_path / "report")
    assert status == 0
    assert "4 classes; images: train 12, validation 5, test 12" in out
    assert "All images are readable." in out
    assert f"Wrote to {tmp_path / 'report'}: distribution.png, summary.json" in out
    assert (tmp_path / "report" / "distribution.png").is_file()
    (root / "train" / "bear" / "1.png").write_bytes(b"no")
    status, out, _ = lptpp("data", config, f"data.root={root}", "-o", tmp_path / "report")
    assert status == 1
    assert f"{root}/train/bear/1.png: cannot be read" in out
    assert "imbalance factor 8.0" in out
    status, out, _ = lptpp("data", config, f"data.root={root}", "--no-images", "-o", tmp_path / "report")
    assert status == 0
    assert "cannot be read" not in out


def test_names_with_brackets_and_colons_are_printed_as_they_are(lptpp, config, pictures, tmp_path):
    root = Path(shutil.copytree(pictures, tmp_path / "data"))
    for part in ("train", "test"):
        (root / part / "apple").rename(root / part / "a [red] :apple: [b]")
    status, out, _ = lptpp("data", config, f"data.root={root}", "-o", tmp_path / "report")
    assert status == 0
    assert "a [red] :apple: [b]" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["fit", "nowhere.yaml"], "nowhere.yaml"),
        (["fit", "emoij"], "did you mean emoji"),
        (["fit", "CONFIG", "phase1.epoch=3"], "phase1.epochs"),
        (["fit", "CONFIG", "data.root=nowhere", "run=TMP/run"], "data.root"),
        (["fit", "CONFIG", "evaluation.prior=nowhere.csv", "run=TMP/run"], "evaluation.prior=nowhere.csv"),
        (["fit", "RUN", "seed=1"], "seed: 0 in the folder, 1 "),
        (["evaluate", "nowhere"], "run folder nowhere does not exist"),
        (["evaluate", "TMP/rum"], "did you mean TMP/run?"),
        (["predict", "TMP/rum", "PICTURES"], "did you mean TMP/run?"),
        (["report", "TMP/rum"], "did you mean TMP/run?"),
        (["compare", "TMP/run", "TMP/rum"], "did you mean TMP/run?"),
        (["export", "TMP/rum", "--to", "onnx"], "did you mean TMP/run?"),
        (["app", "TMP/rum"], "did you mean TMP/run?"),
        (["evaluate", "TMP/run", "--on", "TMP/rum"], "did you mean TMP/run?"),
        (["predict", "TMP/run", "TMP/rum"], "does not exist: did you mean TMP/run?"),
        (["evaluate", "RUN", "evaluation.shot_threshold=3"], "evaluation.shot_thresholds"),
        (["evaluate", "RUN", "shot_thresholds=[3,9]"], "did you mean evaluation.shot_thresholds=[3,9]?"),
        (["evaluate", "RUN", "root=x"], "There is no setting root: did you mean data.root=x?"),
        (["evaluate", "RUN", "seed=1"], "seed=1"),
        (["predict", "nowhere", "PICTURES"], "nowhere"),
        (["predict", "RUN", "nowhere.png"], "nowhere.png"),
        (["predict", "RUN", "PICTURES", "-o", "x.txt"], "x.txt"),
        (["predict", "RUN", "PICTURES", "-o", "x.xlsx"], "Use .csv, which spreadsheets open."),
        (["predict", "PICTURES", "RUN"], "the run comes first: lptpp predict "),
        (["evaluate", "RUN", "phase1.epochs=2"], "phase1.epochs=2 cannot change after training"),
        (
            ["predict", "RUN", "PICTURES", "-o", "TMP/x.csv", "--threshold", "70"],
            "threshold=70: expected a probability between 0 and 1; for 70%, write 0.7.",
        ),
        (["predict", "RUN", "PICTURES", "-o", "TMP/x.csv", "--views", "flips"], "views=flips: did you mean flip?"),
        (["predict", "RUN", "PICTURES", "-o", "TMP/x.csv", "-k", "0"], "top_k=0"),
        (["compare", "RUN", "nowhere"], "run folder nowhere does not exist"),
        (["report", "nowhere"], "run folder nowhere does not exist"),
        (["report", "RUN", "-o", "TMP"], "TMP"),
        (["compare", "RUN", "-o", "x.md"], "x.md"),
        (["data", "CONFIG", "data.source=foldr"], "data.source=foldr: did you mean folder?"),
        (["sweep", "CONFIG", "--space", "lptp"], "did you mean lptpp"),
        (["init", "foldr", "TMP/mine.yaml"], "did you mean folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_user_error_is_one_line_and_status_2(arguments, words, lptpp, config, run, pictures, tmp_path):
    places = {"CONFIG": config, "RUN": run, "PICTURES": pictures}
    given = [str(places.get(word, word)).replace("TMP", str(tmp_path)) for word in arguments]
    status, out, err = lptpp(*given)
    assert (status, out) == (2, "")
    assert err.startswith("Error: ")
    assert words.replace("TMP", str(tmp_path)) in err
    assert err.count("\n") == 1


def test_unlabeled_images_are_refused_by_evaluate(lptpp, run, tmp_path, caplog):
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.png").touch()
    status, _, err = lptpp("evaluate", run, "--on", tmp_path / "loose")
    assert status == 2 and "expected one folder per class; for unlabeled images, use `lptpp predict`." in err
    assert "Loading" not in caplog.text


def test_ctrl_c_saves_and_the_same_command_resumes(lptpp, config, tmp_path, monkeypatch):
    folder = tmp_path / "a run"
    command = ["fit", str(config), f"run={folder}", "method=lpt", "phase1.epochs=8", "evaluation.baselines=[]"]
    command += ["experts.visual.backbone.image_size=32", "workers=1"]  # slow enough to be stopped
    monkeypatch.setattr(sys, "argv", ["lptpp", *command])
    process = forked(cli.main, tmp_path)
    try:
        wait_for_checkpoint(folder, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the loader's workers get it too
        process.join(60)
    finally:
        process.kill()
    assert process.exitcode == 130
    err = (tmp_path / "err.txt").read_text()
    assert err.count("Stopping after this step") == 1
    lines = [line for line in err.splitlines() if " epoch " in line]
    assert len(lines) == len(set(lines))
    assert f"'run={folder}'" in shlex.join(command)
    assert err.endswith(f"Stopped and saved. To resume: lptpp {shlex.join(command)}\n")
    saved = latest_checkpoint(folder / "checkpoint").manifest
    assert (saved["finished"], saved["position"]["stage"]) == (False, "visual/phase1")
    assert lptpp(*command)[0] == 0
    assert latest_checkpoint(folder / "checkpoint").manifest["finished"]
    history = list(csv.DictReader((folder / "history.csv").open()))
    assert [row["epoch"] for row in history] == [*map(str, range(1, 9)), "1", "2"]


def test_a_second_ctrl_c_stops_at_once_and_says_so(lptpp, config, tmp_path):
    class Pressed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if " epoch 1 of " in record.getMessage():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                pytest.fail("it goes on")

    logging.getLogger("lptpp").addHandler(pressed := Pressed())
    try:
        status, _, err = lptpp("fit", config, f"run={tmp_path / 'run'}", "method=lpt", "evaluation.baselines=[]")
    finally:
        logging.getLogger("lptpp").removeHandler(pressed)
    assert status == 130
    assert err.splitlines()[-1].startswith("Stopped at once")
    manifest = latest_checkpoint(tmp_path / "run" / "checkpoint").manifest
    assert (manifest["finished"], manifest["position"]["stage"]) == (False, "visual/phase1")


@pytest.fixture
def ending(monkeypatch, capsys):
    """A function that runs the command line with another `app`; returns its status and its errors."""
    before = signal.getsignal(signal.SIGTERM)

    def run(app) -> tuple[int, str]:
        monkeypatch.setattr(program, "app", app)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, before)


def test_sigterm_stops_every_command_as_ctrl_c_does(ending):
    assert ending(lambda **_: signal.raise_signal(signal.SIGTERM)) == (
        130,
        "Stopped at once; the last checkpoint, if there is one, is kept.\n",
    )


def test_a_fit_that_takes_longer_than_its_time_says_so(lptpp, config, tmp_path, monkeypatch, caplog):
    looks = iter([0.0, 75.0])
    monkeypatch.setattr("lptpp.cli.fit.monotonic", lambda: next(looks))
    monkeypatch.setattr("lptpp.api.fit_epochs", lambda settings, time: settings)
    monkeypatch.setattr("lptpp.api.fit", lambda settings: {})
    monkeypatch.setattr("lptpp.console.result.show_result", lambda *_: None)
    assert lptpp("fit", config, f"run={tmp_path / 'run'}", "--time", "1m")[0] == 0
    assert "This took 1m15s, longer than the time budget of 1m." in caplog.messages


def test_a_stopped_export_speaks_of_the_export(ending, monkeypatch):
    monkeypatch.setattr("sys.argv", ["lptpp", "export", "runs/a", "--to", "onnx"])
    assert ending(lambda **_: signal.raise_signal(signal.SIGTERM)) == (
        130,
        "Stopped at once; the run is unchanged, and no part of the export is left.\n",
    )


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")]
)
def test_failures_of_the_machine_are_one_line(error, ending):
    def app(**_: object) -> None:
        raise error

    status, err = ending(app)
    assert status == 1
    assert err.startswith("Error: ") and "repeat the command to resume" in err and err.count("\n") == 1


def test_other_errors_keep_their_traceback(ending):
    def app(**_: object) -> None:
        raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        ending(app)


def wait_for_checkpoint(folder: Path, process: Process) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint/step-*")):
        assert process.is_alive(), (folder.parent / "err.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "emoji", "--epochs", "3"], "there is no option --epochs: write phase1.epochs=3, phase2.epochs=3"),
        (["fit", "emoji", "--phase1.epochs=1"], "no option --phase1.epochs: write phase1.epochs=1, without dashes."),
        (["fit", "emoji", "--phase1.epochs", "1"], "no option --phase1.epochs: write phase1.epochs=1, without dashes."),
        (["fit", "emoji", "-phase1.epochs=1"], "no option -phase1.epochs: write phase1.epochs=1, without dashes."),
        (["data", "folder", "--data.root", "my images"], "write 'data.root=my images', without dashes."),
        (["sweep", "emoji", "--seed", "--space", "lptpp"], "no option --seed: write seed=VALUE, without dashes."),
        (["fit", "emoji", "--num-groups", "3"], "write experts.NAME.num_groups=3, without dashes."),
        (["fit", "emoji", "--tiem", "3m"], "did you mean --time? Settings are given as key=value, such as phase1.epoc"),
        (["evaluate", "runs/x", "--prior", "uniform"], "write evaluation.prior=uniform, without dashes."),
        (["predict", "runs/x", "a.png", "--topk", "3"], "there is no option --topk: did you mean --top-k?"),
        (["fit", "emoji", "time=3m"], "time is an option, not a setting: write --time 3m."),
        (["data", "emoji", "output=my report"], "output is an option, not a setting: write --output 'my report'."),
        (["data", "emoji", "images=false"], "write --images or --no-images."),
        (["evaluate", "runs/x", "on=new"], "on is an option, not a setting: write --on new."),
        (
            ["fit", "emoji", "--time", "3"],
            "--time 3: expected a duration such as 20m, 1h30m or 90s; for minutes, write 3m.",
        ),
        (
            ["fit", "emoji", "--time", "3m", "phase1.epochs=2"],
            "--time chooses the numbers of epochs, and so does phase1",
        ),
        (["fit", "emoji", "--preset", "x"], "no option --preset: did you mean lptpp fit PRESET data.root=FOLDER?"),
        (["fit", "folder", "."], "Setting '.': expected key=value, for example data.root=."),
        (["fit", "emoji", "data.test=20%"], "data.test=20%: expected a number; for 20%, write 0.2."),
        (["fit", "emoji", "data.test=0,2"], "data.test=0,2: expected a number; write 0.2."),
        (
            ["predict", ".", ".", "--threshold", "70%"],
            "--threshold 70%: expected a probability between 0 and 1; for 70%,",
        ),
        (
            ["predict", ".", ".", "--threshold", "0,7"],
            "--threshold 0,7: expected a probability between 0 and 1; write 0.7.",
        ),
        (["export", ".", "--format", "onnx"], "there is no option --format: did you mean --to FORMAT?"),
        (["train", "x"], "There is no command train: did you mean fit?"),
        (["evalute", "x"], "There is no command evalute: did you mean evaluate?"),
        (["fit", "nothing"], "nothing is neither a folder of images, nor a preset, nor a settings file:"),
    ],
)
def test_an_unknown_option_hints_at_the_setting(arguments, message, lptpp):
    status, _, err = lptpp(*arguments)
    assert status == 2 and message in " ".join(err.split())


def test_a_file_that_looks_like_an_option_is_named(lptpp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.jpg").touch()
    assert "did you mean ./-x.jpg (the file)?" in lptpp("predict", "runs/x", "-x.jpg")[2]


def test_the_usage_names_the_program_however_it_was_started(lptpp):
    assert "Usage: lptpp fit" in " ".join(lptpp("fit")[2].split())


def test_a_folder_that_does_not_exist_is_no_settings_file(lptpp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    assert "Error: The folder image/ does not exist: did you mean images?" in lptpp("fit", "image/")[2]
