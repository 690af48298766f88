import re
import sys

import pytest
import yaml

from lptpp.config import DataSettings, Settings, default_experts
from lptpp.export.card import data_name, model_card, plain_text, table
from lptpp.utils.errors import UserError
from tests import golden

NAMES = ["many|most", "a, b", '<script>alert("x")</script>', "*star* [link](http://x)", "ätherisch"]
ROW = {"overall": 61.25, "many": 90.0, "medium": 50.0, "few": 20.0, "mean_class": 44.4, "calibration_error": 7.0}


@pytest.fixture
def settings() -> Settings:
    return Settings(experts=default_experts())


def facts(counts=(120, 30, 5, 1, 0)) -> dict:
    versions = {"lptpp": "1.2", "torch": "9"}
    return {"class_names": NAMES, "counts": list(counts), "versions": versions, "data": "birds_of *[all]*.csv"}


def metrics(**changed) -> dict:
    return {
        "rows": {"visual.phase1": ROW, "mixture": ROW},
        "result": "mixture",
        "split": "test",
        "images": 1234,
        "tested": {"many": {"images": 900}, "medium": {"images": 314}, "few": {"images": 20}},
        "mean_probability": 68.0,
        "seed": 3,
        "shot_thresholds": [20, 100],
        "classes": 5,
        "classes_tested": 4,
        "untested_classes": [NAMES[2]],
        "tuned_parameters": 1000,
        "backbone_parameters": 100_000,
        "tuned_parts": {},
        "tuned_share_percent": 1.0,
        "tuned_share_without_classifiers_percent": 0.8,
    } | changed


def cells(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table, in which \\| is not a border."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_a_table_keeps_its_shape():
    lines = list(table([["a|b", "c"], ["x\ny", "`z`"], [NAMES[2], NAMES[3]]]))
    assert [len(cells(line)) for line in lines] == [2, 2, 2, 2]
    assert lines[1] == "| --- | --- |"
    assert cells(lines[0])[0] == "a\\|b"
    assert cells(lines[2])[0] == "x y"


def test_names_are_escaped(settings):
    text = model_card("me/*fruit*", settings, facts(), metrics(), "mit")
    assert "<script>" not in text
    assert "&lt;script&gt;alert" in text
    assert "[link](" not in text
    assert plain_text("a_b") == "a\\_b"


def test_the_card_reads_well(settings):
    golden.check("export_card", model_card("me/fruit", settings, facts(), metrics(), "mit"))


def test_the_card_has_the_numbers(settings):
    text = model_card("me/fruit", settings, facts(), metrics(), "mit")
    assert "| LPT++ | 61.2 | 90.0 | 50.0 | 20.0 | 44.4 | 7.0 |" in text
    assert "1,234 images" in text
    assert "156 training images in 5 classes (1 many-shot, 1 medium-shot, 3 few-shot)" in text
    assert "imbalance factor 120.0" in text
    assert 'lptpp.load("hf://me/fruit")' in text
    assert "1,000 trainable, 100,000 frozen" in text


def limitations(settings: Settings, given: dict, measured: dict) -> list[str]:
    text = model_card("fruit", settings, given, measured, "mit")
    return text.split("## Limitations\n\n")[1].split("\n\n##")[0].splitlines()


def test_limitations_state_only_what_is_known(settings):
    lines = limitations(settings, facts(), metrics())
    assert len(lines) == 7
    for number in ("20.0%", "7.0 percentage points", "images: 1.", '1 of 5: &lt;script&gt;alert("x")&lt;/script&gt;.'):
        assert sum(number in line for line in lines) == 1, number
    rows = {"mixture": {**ROW, "few": None, "calibration_error": None}}
    full = metrics(classes_tested=5, untested_classes=[], rows=rows)
    lines = limitations(settings, facts((120, 30, 5, 1, 1)), full)
    assert len(lines) == 3
    assert not any("None" in line for line in lines)


def test_few_shot_accuracy_and_calibration_have_intervals_numbers_of_images_and_a_direction(settings):
    lines = limitations(settings, facts(), metrics())
    assert "- The accuracy on few-shot classes is 20.0% (95% interval 8.1 to 41.6%, 20 images)." in lines
    measured = "accuracy 61.2% (95% interval 58.5 to 63.9%, 1,234 images), so they are overconfident."
    assert (
        f"- The probabilities are off by 7.0 percentage points on average: their mean is 68.0%, the {measured}" in lines
    )
    for mean, direction in ((55.0, "underconfident"), (61.9, "about right"), (63.0, "not clearly over- or underconf")):
        assert any(
            f"so they are {direction}" in line
            for line in limitations(settings, facts(), metrics(mean_probability=mean))
        )


def test_a_missing_extra_is_named(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"--to huggingface .*lptpp\[hub\]"):
        model_card("fruit", settings, facts(), metrics(), "mit")


def test_the_data_set_is_named(settings):
    text = model_card("fruit", settings, facts(), metrics(), "mit")
    assert "birds\\_of \\*\\[all\\]\\*.csv (source `folder`): 156 training images" in text
    result = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "birds_of *[all]*.csv", "type": "folder", "split": "test"}


@pytest.mark.parametrize(
    "given, name",
    [
        ({"source": "csv", "train_list": "/home/me/birds.csv", "root": "/data"}, "birds.csv"),
        ({"source": "parquet", "train_list": "tables/part-*.parquet"}, "part-*.parquet"),
        ({"source": "list", "train_list": "train.txt", "root": "/data"}, "train.txt"),
        ({"source": "folder", "root": "/home/me/birds/"}, "birds"),
        ({"source": "folder", "root": "."}, "here"),
        ({"source": "huggingface", "root": "owner/birds"}, "owner/birds"),
        ({"source": "huggingface", "root": "saved/birds"}, "birds"),
        ({"source": "huggingface", "root": "~/birds"}, "birds"),
        ({"source": "emoji"}, "emoji"),
        ({"source": "cifar100_lt", "root": "/home/me/cifar100"}, "cifar100_lt"),
        ({"source": "inat2018", "root": "/data/inat"}, "inat2018"),
    ],
)
def test_the_name_of_a_data_set_is_that_of_its_table_or_folder(given, name, tmp_path, monkeypatch):
    (tmp_path / "here" / "saved" / "birds").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert data_name(DataSettings(**given)) == name


@pytest.mark.parametrize("name", ["me/fruit", 'odd: "name" # x', "- [a]"])
def test_the_metadata_is_yaml_for_any_name(name, settings):
    text = model_card(name, settings, facts(), metrics(), "mit")
    assert yaml.safe_load(text.split("---\n")[1])["model-index"][0]["name"] == name


def test_backbones_of_the_hub_are_named(settings):
    settings.experts["visual"].backbone.name = "vit_base_patch16_224.augreg_in21k"
    language = settings.experts["language"].backbone
    language.name, language.weights = "ViT-B-16", "laion2b_s34b_b88k"
    top = yaml.safe_load(model_card("x", settings, facts(), metrics(), "mit").split("---\n")[1])
    assert top["base_model"] == ["timm/vit_base_patch16_224.augreg_in21k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"]
    language.weights = "own.safetensors"
    text = model_card("x", settings, facts(), metrics(), "mit")
    assert yaml.safe_load(text.split("---\n")[1])["base_model"] == ["timm/vit_base_patch16_224.augreg_in21k"]


def test_bundled_backbones_are_not_on_the_hub(settings):
    text = model_card("x", settings, facts(), metrics(), "mit")
    assert "base_model" not in text
    assert "bundled with lptpp" in text
