import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from lptpp.checkpoint.record import ImageRecord, packed, write_digests, write_record
from lptpp.cli import app
from lptpp.config import Settings, load_settings, to_dictionary, to_yaml
from lptpp.console.tables import comparison_table
from lptpp.data.content import DIGEST
from lptpp.evaluation.answers import comparable_answers
from lptpp.evaluation.compare import ComparedRun, Spread, differences, flat_rows, spread
from lptpp.evaluation.leader import leader
from lptpp.evaluation.settings import different_settings
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv
from tests import golden
from tests.report.made import make_run

PARTS = {"visual": {"adapters": 10, "classifier": 20}, "language": {"adapters": 30}, "scorer": {"scorer": 1000}}


def metrics(overall: float, few: float | None = 1.0) -> dict:
    accuracies = {"overall": overall, "many": 90.04, "medium": 50.0, "few": few, "mean_class": overall - 1}
    return {**accuracies, "calibration_error": 3.21}


def run(folder: str, rows: dict, settings: str | None = None, **changes) -> ComparedRun:
    common = {"split": "test", "shot_thresholds": [20, 100], "seed": 0, "method": "lptpp", "result": "mixture"}
    content = {"rows": rows, "backbone_parameters": 86_000_000, "tuned_parts": PARTS, **common, **changes}
    return ComparedRun(Path(folder), content, {"name": settings} if settings else {})


def printed(table: Table) -> str:
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def column(table: Table, place: int) -> list[str]:
    return [str(cell) for cell in table.columns[place].cells]


def bold(table: Table, place: int) -> list[bool]:
    return [getattr(cell, "style", "") == "bold" for cell in table.columns[place].cells]


def test_every_run_is_a_section_with_a_line_for_each_row() -> None:
    first = run("runs/a", {"mixture": metrics(60), "mixture.prior=[a].csv": metrics(50, few=None)})
    table = comparison_table([first, run("runs/b", {"mixture": metrics(70)}, seed=1)])
    assert column(table, 0) == ["a", "▸ LPT++", "LPT++, prior [a].csv", "b", "▸ LPT++"]
    assert column(table, 1) == ["", "60.0", "50.0", "", "70.0"]
    assert column(table, 4) == ["", "1.0", "–", "", "1.0"]
    assert bold(table, 1) == [False, False, False, False, True]
    assert "LPT++, prior [a].csv" in printed(table)  # not read as markup
    assert bold(table, 6) == [False] * 5  # calibration has no best
    assert "test split" in str(table.caption) and "seeds 0, 1" in str(table.caption)


def test_runs_that_differ_in_the_seed_alone_are_one() -> None:
    alike = [run(f"runs/x-{seed}", {"mixture": metrics(60 + seed)}, "same", seed=seed) for seed in range(3)]
    table = comparison_table([alike[0], run("runs/y", {"mixture": metrics(61.04)}), *alike[1:]])
    assert column(table, 0) == ["x-0, x-1, x-2 (3 seeds)", "▸ LPT++", "y", "▸ LPT++"]
    assert column(table, 1) == ["", "61.0 ± 1.0", "", "61.0"]
    assert bold(table, 1) == [False, True, False, True]


def test_runs_are_one_only_where_seeds_differ_and_what_was_evaluated_does_not() -> None:
    seeds = [run(f"runs/x-{seed}", {"mixture": metrics(60)}, "same", seed=seed) for seed in range(2)]
    again = run("runs/again", {"mixture": metrics(60)}, "same", seed=1)
    other = run("runs/other", {"mixture": metrics(60)}, "same", seed=2, split="validation")
    names = column(comparison_table([*seeds, again, other]), 0)
    assert [name for name in names if name != "▸ LPT++"] == ["x-0, x-1 (2 seeds)", "again", "other"]


def settings_that_differ(*overrides: list[str]) -> list[str]:
    runs = [ComparedRun(Path("a"), {}, to_dictionary(load_settings("emoji", given))) for given in overrides]
    return list(different_settings([*runs, ComparedRun(Path("b"), {}, {})]))


def test_settings_that_change_the_result_are_named_if_they_differ() -> None:
    assert settings_that_differ(["seed=1", "device=cpu"], ["seed=2", "evaluation.views=flip", "run=runs/b"]) == []
    longer = ["phase1.epochs=3", "experts.visual.adapter_width=2"]
    assert settings_that_differ(longer, ["phase1.epochs=4"], ["phase1.epochs=4"]) == [
        "Settings that differ: phase1.epochs 3 and 4; experts.visual.adapter_width 2 and 8."
    ]


def test_what_follows_from_another_method_is_no_difference_of_settings() -> None:
    assert settings_that_differ([], ["method=lpt"]) == [
        "Settings that differ: experts [visual,language] and [visual]; method lptpp and lpt."
    ]
    assert settings_that_differ(["method=full", "phase1.epochs=2"], ["method=linear_probe", "phase1.epochs=2"]) == [
        "Settings that differ: method full and linear_probe."
    ]
    assert settings_that_differ(["use_experts=[visual]"], ["method=lpt"]) == [
        "Settings that differ: method lptpp and lpt."
    ]


def test_a_row_that_some_seeds_lack_says_so() -> None:
    rows = [{"mixture": metrics(60), "mixture.flip": metrics(61)}, {"mixture": metrics(60)}]
    table = comparison_table([run(f"runs/x-{seed}", rows[seed], "same", seed=seed) for seed in range(2)])
    assert column(table, 0) == ["x-0, x-1 (2 seeds)", "▸ LPT++", "LPT++, flip (1 seed)"]


def test_spread_is_mean_and_sample_deviation() -> None:
    assert spread([1.0, 2.0, 6.0]) == Spread(3.0, pytest.approx(7**0.5))
    assert spread([4.0]) == Spread(4.0, None)
    assert spread([1.0, None]) is None and spread([]) is None
    assert (str(Spread(3.14, 0.25)), str(Spread(3.14, None))) == ("3.1 ± 0.2", "3.1")


def test_a_run_is_known_by_its_settings_without_seed_and_folder(tmp_path: Path) -> None:
    runs = []
    for name, settings in {"a": Settings(seed=1), "b": Settings(seed=2, run="b"), "c": Settings(workers=3)}.items():
        folder = tmp_path / name
        folder.mkdir()
        evaluated = {"result": "mixture", "rows": {}, "split": "test", "shot_thresholds": [1, 2]}
        (folder / "metrics.json").write_text(json.dumps(evaluated))
        (folder / "config.yaml").write_text(to_yaml(settings))
        runs.append(ComparedRun.read(folder))
    assert runs[0].kind == runs[1].kind != runs[2].kind


def test_costs_stand_beside_the_accuracies() -> None:
    table = comparison_table([run("a", {"mixture": metrics(60), "language.phase1": metrics(50)})])
    assert str(table.columns[7].header) == "Trainable"
    assert column(table, 7) == ["", "1,060", "30"]
    assert len(table.columns) == 8  # no run tells how long it took, and how fast it is


@pytest.mark.parametrize(
    "change, words",
    [
        ({"split": "validation"}, "different splits (test; validation)"),
        ({"classes": 7}, "different data (– classes"),
    ],
)
def test_runs_that_cannot_be_compared_are_not(change, words) -> None:
    table = comparison_table([run("a", {"mixture": metrics(60)}), run("b", {"mixture": metrics(50)}, **change)])
    assert words in str(table.caption)
    assert not any(bold(table, 1))


def test_other_thresholds_leave_the_other_accuracies_comparable() -> None:
    table = comparison_table(
        [run("a", {"mixture": metrics(60)}), run("b", {"mixture": metrics(50)}, shot_thresholds=[5, 50])]
    )
    assert "Many, medium and few are not comparable: the runs have different shot thresholds" in str(table.caption)
    assert "Not comparable" not in str(table.caption)
    assert any(bold(table, 1)) and any(bold(table, 5))
    assert not any(any(bold(table, place)) for place in (2, 3, 4))


def test_long_names_are_whole_at_80_columns_and_results_are_marked(capsys) -> None:
    name = "balanced_groups_and_a_long_name_of_a_setting"
    parts = {"language_expert": {"adapters": 3, "classifier": 3}, **PARTS}
    rows = {"language_expert.balanced_probe": metrics(50), "language_expert.phase2": metrics(60)}
    table = comparison_table(
        [
            run(f"runs/{name}", rows, result="language_expert.phase2", tuned_parts=parts),
            run("runs/b", {"mixture": metrics(60)}),
        ]
    )
    console = Console(width=80, file=io.StringIO(), soft_wrap=True)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    for text in (name, "balanced probe, language_expert", "▸ language_expert, phase 2", "▸ LPT++"):
        assert any(text in line for line in lines), text
    assert not any("▸" in line and "probe" in line for line in lines) and "…" not in "".join(lines)


def test_flat_rows_hold_every_run_and_row() -> None:
    (row,) = flat_rows([run("a", {"visual.phase1": metrics(60.0)})])
    place = {
        "run": "a",
        "row": "visual.phase1",
        "method": "lptpp",
        "split": "test",
        "shot_thresholds": "20-100",
        "seed": 0,
    }
    costs = {"tuned_parameters": 30, "training_cpu_seconds": None, "images_per_second": None}
    assert row == {**place, "backbone_parameters": 86_000_000, **metrics(60.0), **costs}


def test_a_comparison_of_nothing_is_an_empty_table() -> None:
    assert comparison_table([]).row_count == 0


def test_the_printed_comparison() -> None:
    alike = [run(f"runs/x-{seed}", {"mixture": metrics(60 + seed)}, "same", seed=seed) for seed in range(2)]
    other = run("runs/y", {"visual.phase1": metrics(50), "mixture": metrics(61)}, seed=1)
    different = [run("a", {"mixture": metrics(60)}), run("b", {"mixture": metrics(50)}, split="validation")]
    golden.check("compare_table", printed(comparison_table([*alike, other])) + printed(comparison_table(different)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("history.csv", lambda text: text + "1\n"),
        ("history.csv", lambda text: text.replace("2.5", "x")),
        ("metrics.json", lambda text: text.replace('"test"', "[]")),
        ("metrics.json", lambda text: text.replace("90.04", "[]")),
        ("metrics.json", lambda text: text.replace('"shot_thresholds": [20, 100]', '"shot_thresholds": 7')),
        ("metrics.json", lambda text: text.replace('"tuned_parts"', '"parts"')),
        ("metrics.json", lambda text: "[" * 100_000),
        ("images_per_second.json", lambda text: "[]"),
    ],
)
def test_damaged_files_of_a_run_are_one_sentence(name: str, change, tmp_path: Path) -> None:
    sizes = {"classes": 4, "training_images": 17, "images": 8}
    content = run("a", {"visual.phase1": metrics(60), "mixture": metrics(70)}, **sizes).metrics
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    (tmp_path / "history.csv").write_text("stage,epoch,cpu_seconds\nvisual/phase1,1,2.5\n")
    comparison_table([ComparedRun.read(tmp_path)])
    path = tmp_path / name
    path.write_text(change(path.read_text() if path.is_file() else ""))
    with pytest.raises(UserError, match=f"{tmp_path}.*evaluate"):
        comparison_table([ComparedRun.read(tmp_path)])


def test_rows_that_are_equal_in_all_runs_are_shown_once_and_the_results_in_every_run() -> None:
    rows = {"class_means": metrics(40), "visual.zero_shot": metrics(30), "mixture": metrics(60)}
    rows["visual.class_means"] = rows.pop("class_means")
    runs = [run(f"runs/{name}", dict(rows), tuned_parts=PARTS) for name in "ab"]
    runs.append(run("runs/c", rows | {"visual.zero_shot": metrics(31)}))
    assert column(comparison_table(runs), 0) == [
        "equal in all runs", "class means, visual",
        "a", "zero-shot, visual", "▸ LPT++",
        "b", "zero-shot, visual", "▸ LPT++",
        "c", "zero-shot, visual", "▸ LPT++",
    ]  # fmt: skip
    assert column(comparison_table(runs[:1]), 0)[0] == "runs/a"
    assert "ECE: expected calibration error in %, lower is better; Trainable: trainable parameters." in str(
        comparison_table(runs).caption
    )


def with_predictions(folder: Path, right: list[bool], **changes) -> ComparedRun:
    folder.mkdir(parents=True, exist_ok=True)
    answers = [{"image": str(i), "true": "a", "label_1": "a" if found else "b"} for i, found in enumerate(right)]
    write_csv(folder / "predictions.csv", answers)
    accuracy = 100 * sum(right) / len(right)
    return run(str(folder), {"mixture": metrics(accuracy)}, names_in_csv="escaped", **changes)


def test_a_sentence_says_whether_the_best_run_is_clearly_best(tmp_path: Path) -> None:
    bad = with_predictions(tmp_path / "bad", [True] * 20 + [False] * 40)
    good = with_predictions(tmp_path / "good", [True] * 59 + [False])
    near = with_predictions(tmp_path / "near", [True] * 58 + [False] * 2)
    assert list(leader([bad, good, near])) == [
        "good has the highest overall accuracy (98.3%), but on the same 60 images it does not differ clearly"
        " (95% interval) from near."
    ]
    assert list(leader([bad, good])) == [
        "good has the highest overall accuracy (98.3%); on the same 60 images, the difference to every other run is"
        " clear (95% interval)."
    ]
    fewer = with_predictions(tmp_path / "fewer", [True] * 30)
    validation = with_predictions(tmp_path / "validation", [True] * 60, split="validation")
    for runs in ([good], [good, validation]):
        assert list(leader(runs)) == []
    for runs, reason in (
        ([good, fewer], "the paths of their evaluated images differ, and not all runs record the contents."),
        ([good, run(str(tmp_path / "gone"), {"mixture": metrics(1)})], "there is no predictions.csv in gone;"),
    ):
        (sentence,) = leader(runs)
        assert sentence.startswith("Which run is best cannot be said: ") and reason in sentence


def test_predictions_of_another_model_are_refused_before_the_table_is_printed(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, [30, 9, 3], tested=4) for name in ("a", "b")]
    good = (runs[0] / "predictions.csv").read_text()
    assert CliRunner().invoke(app, ["compare", *map(str, runs)]).exit_code == 0
    of_predict = "image,prediction,label_1,probability_1,error\n1.png,class 0,class 0,0.5,\n"
    for text in (of_predict, good[: good.rindex("\n", 0, -1)] + "\n"):
        (runs[1] / "predictions.csv").write_text(text)
        found = CliRunner().invoke(app, ["compare", *map(str, runs)])
        message = f"{runs[1]}/predictions.csv has predictions of another model, or of other images, than {runs[1]}/met"
        assert str(found.exception).startswith(message) and found.stdout == ""


def recorded(folder: Path, contents: str, right: list[bool], **changes) -> ComparedRun:
    """A run whose record says that its test images, in the order of their places, have these contents."""
    found = with_predictions(folder, right, **changes)
    answers = [
        {"image": f"{folder.name}/{i}", "true": "a", "label_1": "a" if good else "b"} for i, good in enumerate(right)
    ]
    write_csv(folder / "predictions.csv", answers)
    n = len(contents)
    text, lengths = packed([f"{i:02}" for i in range(n)])
    numbers = np.zeros(n, np.int32), np.full(n, 2, np.uint8), np.arange(n, dtype=np.uint32)[::-1].copy()
    record = ImageRecord(text, lengths, numbers[0], numbers[1], numbers[1], numbers[2], np.zeros((n, DIGEST), np.uint8))
    write_record(folder / "checkpoint", record)
    digests = np.array([[ord(letter)] * DIGEST for letter in contents], np.uint8)
    write_digests(folder / "checkpoint", digests)  # in the order of the places
    return found


def test_images_of_another_folder_are_known_by_their_contents(tmp_path: Path) -> None:
    a = recorded(tmp_path / "a", "tuvwxyz", [True] * 6 + [False])
    copied = recorded(tmp_path / "copied", "zyxwvut", [False] * 4 + [True] * 3)  # in another order
    other = recorded(tmp_path / "other", "tuvwxab", [False] * 7)
    (sentence,) = leader([a, copied])
    assert "on the same 7 images" in sentence
    by_image = comparable_answers([(one.folder, one.metrics) for one in (a, copied)])
    assert by_image is not None and by_image[1]
    assert [one.right.tolist() for one in by_image[0]] == [
        [True] * 6 + [False],
        [True] * 3 + [False] * 4,
    ]
    assert list(leader([a, other])) == [
        "Which run is best cannot be said: they were evaluated on different images (5 evaluated images are in all runs,"
        " 2 and 2 are not)."
    ]


def test_different_data_say_how_many_evaluated_images_are_the_same(tmp_path: Path) -> None:
    a = recorded(tmp_path / "a", "tuvwxyz", [True] * 7, training_images=99)
    copied = recorded(tmp_path / "copied", "zyxwvut", [True] * 7, training_images=102)
    fewer = recorded(tmp_path / "fewer", "tuvab", [True] * 5, training_images=102)
    assert "; all 7 evaluated images are the same)." in " ".join(differences([a, copied]))
    assert "; 3 evaluated images are in all runs, 4 and 2 are not)." in " ".join(differences([a, fewer]))
    assert "are not" not in " ".join(differences([a, run("gone", {"mixture": metrics(1)})]))
