"""The table of all classes and the classes never recognized, against loops."""

import json
import re
from collections import Counter

import numpy as np

from lptpp.data.statistics import SHOTS
from lptpp.report.gather import EvaluatedRun
from lptpp.report.sections.class_table import class_table, most_frequent_errors, never_recognized


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
