"""The table of methods in docs/method.md, and one short run of every method."""

import csv
import json

import pytest

from lptpp.config import LossSettings, load_settings
from lptpp.config.methods import METHODS
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError

PARTS = ("shared_prompts", "group_prompts", "adapter_width", "stem_adapter_width", "tune_backbone")
GIVEN = "experts: {visual: {stem_adapter_width: 5}, language: {backbone: {kind: language}, stem_adapter_width: 5}}"
TABLE = {  # experts; shared prompts, group prompts, adapter, stem adapter, backbone tuned; loss and sampler of phase 1
    "lptpp": (["visual", "language"], (10, 10, 4, 5, False), ("a_gcl", "class_balanced")),
    "lpt": (["visual"], (10, 10, 0, 0, False), ("a_gcl", "class_balanced")),
    "linear_probe": (["visual"], (0, 0, 0, 0, False), ("logit_adjustment", "instance_balanced")),
    "vpt_deep": (["visual"], (10, 0, 0, 0, False), ("cross_entropy", "instance_balanced")),
    "adaptformer": (["language"], (0, 0, 4, 0, False), ("logit_adjustment", "instance_balanced")),
    "full": (["visual"], (0, 0, 0, 0, True), ("cross_entropy", "instance_balanced")),
}
PHASES = {"lpt": ["visual.phase1", "visual.phase2"], "adaptformer": ["language.phase1"]}
COLUMNS = {"overall", "many", "medium", "few", "mean_class", "calibration_error"}


@pytest.fixture
def defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.touch()
    return path


def test_the_table_names_all_methods():
    assert TABLE.keys() == METHODS.keys()


@pytest.mark.parametrize("method", TABLE)
def test_a_method_has_the_parts_of_the_table(method, defaults):
    experts, parts, (loss, sampler) = TABLE[method]
    defaults.write_text(GIVEN)
    settings = load_settings(defaults, [f"method={method}"])
    assert list(settings.experts) == experts
    for expert in settings.experts.values():
        assert tuple(getattr(expert, part) for part in PARTS) == parts
    assert (settings.phase1.main.loss.name, settings.phase1.main.sampler) == (loss, sampler)
    assert settings.phase1.dual.weight == (0.5 if loss == "a_gcl" else 0)
    assert settings.phase2.dual.weight == 0.5


def test_without_a_word_about_it_both_phases_have_the_dual_sampling_of_lpt(defaults):
    settings = load_settings(defaults)
    for phase in (settings.phase1, settings.phase2):
        assert (phase.main.sampler, phase.dual.sampler) == ("class_balanced", "instance_balanced")
        assert phase.main.loss == LossSettings("a_gcl", {"positive_focus": 0.0, "negative_focus": 4.0})
        assert phase.dual.loss == LossSettings("a_gcl", {"positive_focus": 0.5, "negative_focus": 8.0})
        assert (phase.main.weight, phase.dual.weight) == (1.0, 0.5)


def test_the_text_head_of_adaptformer_is_that_of_lift(defaults):
    assert load_settings(defaults, ["method=adaptformer"]).experts["language"].head == "text"


def test_experts_can_be_chosen_by_name(defaults):
    settings = load_settings(defaults, ["method=adaptformer", "use_experts=[visual]"])
    assert list(settings.experts) == ["visual"]
    assert settings.experts["visual"].shared_prompts == 0


def test_a_method_without_an_expert_of_its_kind_is_refused(defaults):
    defaults.write_text("experts: {visual: {}}")
    with pytest.raises(UserError, match=r"method=adaptformer needs an expert of kind language"):
        load_settings(defaults, ["method=adaptformer"])


def test_lptpp_leaves_all_its_rows(trained):
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert list(metrics["rows"]) == [
        "visual.linear_probe",
        "visual.balanced_probe",
        "language.zero_shot",
        "language.linear_probe",
        "language.balanced_probe",
        "visual.phase1",
        "visual.phase2",
        "language.phase1",
        "language.phase2",
        "average",
        "mixture",
    ]
    assert metrics["result"] == "mixture"
    assert all(row.keys() == COLUMNS for row in metrics["rows"].values())
    assert set(metrics["scorer_weights"]) == {"many", "medium", "few"}
    for weights in metrics["scorer_weights"].values():
        assert sum(weights.values()) == pytest.approx(1)
    assert metrics == trained.metrics


def test_the_tuned_parameters_are_those_of_the_finished_experts(trained):
    width, blocks, classes, features = 24, 4, 4, (24, 20)  # features of the visual and of the language tower
    expert = 2 * blocks * width  # shared prompts
    expert += blocks * (2 * 2 * width + 2 + width)  # adapters
    expert += 3 * width + 3 * 2 * 2 * width  # keys and group prompts
    scorer = 8 * sum(features) + 8 + 8 * 2 + 2
    assert trained.metrics["tuned_parameters"] == 2 * expert + classes * sum(features) + scorer
    assert trained.metrics["tuned_without_classifiers"] == 2 * expert + scorer
    towers = [expert.encoder.tower for expert in trained.mixture.experts.values()]
    assert trained.metrics["backbone_parameters"] == sum(p.numel() for t in towers for p in t.parameters())


def test_the_row_of_the_answer_follows_from_the_predictions(trained):
    with (trained.folder / "predictions.csv").open(encoding="utf-8") as file:
        predictions = list(csv.DictReader(file))
    kinds = {"apple": "many", "bear": "medium", "car": "medium", "dog": "few"}  # 8, 5, 3, 1 images; borders 2 and 6
    groups = {"overall": predictions}
    groups |= {kind: [row for row in predictions if kinds[row["true"]] == kind] for kind in set(kinds.values())}
    for name, rows in groups.items():
        right = sum(row["label_1"] == row["true"] for row in rows)
        assert trained.metrics["rows"]["mixture"][name] == pytest.approx(100 * right / len(rows))
    assert trained.metrics["rows"]["mixture"]["mean_class"] == trained.metrics["rows"]["mixture"]["overall"]
    assert {row["mixture.label"] == row["label_1"] for row in predictions} == {True}
    assert len(predictions) == 12


@pytest.mark.parametrize("method", [method for method in TABLE if method != "lptpp"])
def test_every_method_trains_from_end_to_end(method, settings_of, tmp_path):
    baselines = "[zero_shot,linear_probe]" if method == "adaptformer" else "[]"
    overrides = [f"method={method}", "phase1.epochs=1", "phase2.epochs=1", f"evaluation.baselines={baselines}"]
    fit(settings_of(tmp_path, *overrides))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    rows = PHASES.get(method, ["visual.phase1"])
    before = ["language.zero_shot", "language.linear_probe"] if method == "adaptformer" else []
    assert list(metrics["rows"]) == before + rows
    assert metrics["result"] == rows[-1]
    assert "scorer" not in metrics["tuned_parts"]
    assert (metrics["method"], metrics["images"], metrics["training_images"]) == (method, 12, 17)
    assert (metrics["tuned_parameters"] > metrics["backbone_parameters"]) == (method == "full")
