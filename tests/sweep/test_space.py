import sys

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lptpp.config import load_settings
from lptpp.sweep.space import assignment, corners, read_space
from lptpp.utils.errors import UserError


def space(tmp_path, text: str) -> dict:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return read_space(path)


def test_ranges_and_choices_become_distributions(tmp_path):
    text = """
    phase1.learning_rate: {low: 1e-3, high: 0.2, log: true}
    phase1.epochs: {low: 3, high: 9, step: 2}
    augmentation.smallest_crop: {low: 0.5, high: 1}
    phase2.main.sampler: [square_root, class_balanced, square_root]
    experts.visual.templates: [["a {}."], ["{}", "an {}, red"]]
    """
    assert space(tmp_path, text) == {
        "phase1.learning_rate": FloatDistribution(0.001, 0.2, log=True),
        "phase1.epochs": IntDistribution(3, 9, step=2),
        "augmentation.smallest_crop": FloatDistribution(0.5, 1.0),
        "phase2.main.sampler": CategoricalDistribution(('"square_root"', '"class_balanced"')),
        "experts.visual.templates": CategoricalDistribution(('["a {}."]', '["{}", "an {}, red"]')),
    }


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("phase1.learning_rate", 1e-7, 1e-7),
        ("phase1.epochs", 3, 3),
        ("augmentation.flip", "false", False),
        ("phase1.main.sampler", '"square_root"', "square_root"),
        ("data.class_names", '"a: b, c = \\"d\\".txt"', 'a: b, c = "d".txt'),
        ("experts.language.templates", '["{}", "an {}, \\"red\\""]', ["{}", 'an {}, "red"']),
        ("phase1.main.loss", '{"name": "focal", "options": {"focus": 3.0}}', ("focal", {"focus": 3.0})),
    ],
)
def test_assigned_values_arrive_in_the_settings(key, value, expected, tmp_path):
    (tmp_path / "empty.yaml").write_text("{}")
    found = load_settings(tmp_path / "empty.yaml", [assignment(key, value)])
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert (found if key != "phase1.main.loss" else (found.name, found.options)) == expected


def test_corners_are_the_ends_or_all_choices(tmp_path):
    found = space(tmp_path, "a: {low: 1, high: 9}\nb: [x, 2, true]")
    assert corners("a", found["a"]) == ["a=1", "a=9"]
    assert corners("b", found["b"]) == ['b="x"', "b=2", "b=true"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("phase1.epochs: 3", "the keys must be low, high"),
        ("phase1.epochs: {low: 3}", "the keys must be low, high"),
        ("phase1.epochs: {low: 3, high: 9, lag: true}", "the keys must be low, high"),
        ("phase1.epochs: {low: 9, high: 3}", "low must be below high"),
        ("phase1.epochs: {low: a, high: b}", "low and high must be numbers"),
        ("phase1.epochs: {low: null, high: 3}", "is invalid"),
        ("phase1.epochs: {low: 0, high: 3, log: true}", "is invalid"),
        ("phase1.epochs: []", "is invalid"),
        ("data.validation: [0.1, 0.2]", "data.validation cannot be searched"),
        ("evaluation.split: [test]", "evaluation.split cannot be searched"),
        ("run: [a, b]", "run cannot be searched"),
        ("a: [", "space.yaml"),
    ],
)
def test_an_invalid_space_is_refused_with_file_and_key(text, message, tmp_path):
    with pytest.raises(UserError) as error:
        space(tmp_path, text)
    assert message in str(error.value)
    assert "space.yaml" in str(error.value)


def test_a_missing_file_and_a_missing_extra_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        read_space(tmp_path / "nowhere.yaml")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"lptpp sweep .*lptpp\[sweep\]"):
        space(tmp_path, "a: [1]")
