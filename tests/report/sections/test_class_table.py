"""The table of all classes and the classes never recognized, against loops; sorted and searched in a real browser."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from lptpp.data.statistics import SHOTS
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.page import write_report
from lptpp.report.sections.class_table import class_table, most_frequent_errors, never_recognized
from tests.report.made import make_run


def test_the_rows_are_those_of_the_classes_least_accurate_first(run: EvaluatedRun) -> None:
    table, of = class_table(run), run.classes
    assert sorted(row[0] for row in table.data) == sorted(of.names)
    accuracies = [row[4] for row in table.data]
    known = [value for value in accuracies if value is not None]
    assert known == sorted(known) and accuracies[len(known) :] == [None] * (len(accuracies) - len(known))
    for name, shot, training, tested, *values, other, images in table.data:
        index = of.names.index(name)
        assert (SHOTS[shot], training, tested) == (of.shots[index], of.counts[index], of.tested[index])
        expected = [of.accuracy[row][index] for row in (run.result, *run.finals.values())]
        assert values == [None if np.isnan(value) else round(value, 1) for value in expected]
        predicted = run.predictions.predicted[run.result][run.predictions.labels == index]
        wrong = Counter(predicted[predicted != index].tolist())
        assert (images, wrong[other]) == ((max(wrong.values()),) * 2 if wrong else (0, 0))
    json.dumps(table.data)


def test_the_most_frequent_error_of_each_class() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 1, 2]), np.array([1, 2, 2, 0, 1, 0])
    assert most_frequent_errors(predicted, labels, 3) == {0: (2, 2), 2: (0, 1)}


def test_classes_never_recognized_are_named_by_shot(run: EvaluatedRun) -> None:
    never = [run.classes.accuracy[run.result][index] == 0 for index in range(len(run.classes.names))]
    expected = {shot: [] for shot in SHOTS}
    for name, shot, tested, so in zip(run.classes.names, run.classes.shots, run.classes.tested, never, strict=True):
        expected[shot] += [f"{name} ({tested})"] if so else []
    found = never_recognized(run)
    lines = dict(re.findall(r"(\w+)-shot, \d+ class\w*: (.*)", found[0].text)) if found else {}
    assert lines == {shot: "; ".join(names) for shot, names in expected.items() if names}
    assert len(found) == any(never)


def test_a_browser_sorts_and_searches_8142_classes(browser, tmp_path: Path) -> None:
    counts = np.maximum(2, 1000 * np.exp(-np.linspace(0, 6.2, 8142))).astype(int)
    names = [f"species {index}" for index in range(8142)]
    folder = make_run(tmp_path / "run", counts, names, tested=1)
    table = class_table(gather(folder))
    page = browser.new_page()
    page.goto(write_report(folder).as_uri())
    part = page.locator(".part.classes")
    first = part.locator("tbody td").first
    assert first.inner_text() == table.data[0][0]
    assert part.locator("tbody tr").count() == 50
    part.get_by_text("training images", exact=True).click()
    assert first.inner_text() == "species 0"
    part.get_by_text("training images", exact=True).click()
    assert part.locator("tbody tr").first.locator("td").nth(1).inner_text() == "2"
    part.get_by_placeholder("part of a class name").fill("SPECIES 81")
    assert part.locator(".more").inner_text().startswith("50 of 53.")  # 81, 810 to 819, 8100 to 8141
    part.get_by_role("button").click()
    assert part.locator("tbody tr").count() == 53
    page.close()
