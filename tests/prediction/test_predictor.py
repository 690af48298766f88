import numpy as np
import pytest

import lptpp
from lptpp.evaluation.tta import Adjustment
from lptpp.prediction.inputs import Input
from lptpp.prediction.writer import Predictor, printable


@pytest.fixture(scope="module")
def model(trained):
    return lptpp.load(trained.folder)


@pytest.fixture(scope="module")
def inputs(pictures) -> list[Input]:
    paths = [str(path) for path in sorted(pictures.glob("test/*/*.png"))[::5]]
    return [Input(paths[0], paths[0]), Input("gone.png", "gone.png"), *(Input(path, path) for path in paths[1:])]


def batches(model, inputs, adjust=None, top_k=2, threshold=0.0):
    predictor = Predictor(model, adjust or Adjustment(), top_k, threshold)
    return predictor, *predictor.predict(inputs, [predictor.read(one) for one in inputs])


def test_rows_tell_the_best_classes_and_what_is_unreadable(model, inputs):
    predictor, rows, _ = batches(model, inputs)
    assert [list(row) for row in rows] == [predictor.columns()] * 4
    assert predictor.columns() == [
        "image",
        "prediction",
        "label_1",
        "probability_1",
        "label_2",
        "probability_2",
        "error",
    ]
    assert [row["image"] for row in rows] == [one.name for one in inputs]
    best = model.predict([one.path for one in inputs if one.name != "gone.png"], top_k=2)
    for row, (first, second) in zip([rows[0], *rows[2:]], best, strict=True):
        assert (row["prediction"], row["label_1"], row["label_2"]) == (first.label, first.label, second.label)
        assert (row["probability_1"], row["probability_2"]) == (
            round(first.probability, 6),
            round(second.probability, 6),
        )
        assert row["error"] is None
    gone = dict.fromkeys(predictor.columns()) | {"image": "gone.png", "error": "cannot be read: file not found"}
    assert rows[1] == gone


def test_below_the_threshold_there_is_no_answer_at_it_there_is(model, inputs):
    rows = batches(model, inputs)[1]
    sure = sorted(row["probability_1"] for row in rows if row["error"] is None)
    message = batches(model, inputs, threshold=sure[1])[1]
    assert sure[0] < sure[1]
    for row, before in zip(message, rows, strict=True):
        unsure = before["error"] is None and before["probability_1"] < sure[1]
        assert row == before | ({"prediction": None} if unsure else {})
    assert sum(row["prediction"] is None and row["error"] is None for row in message) == 1


def test_features_are_those_of_each_expert_of_unit_length_and_nan_where_there_is_no_picture(model, inputs):
    predictor, _, features = batches(model, inputs)
    width = predictor.widths["visual"]
    assert features.shape == (4, sum(predictor.widths.values()))
    assert np.isnan(features[1]).all()
    good = features[[0, 2, 3]]
    np.testing.assert_allclose(np.linalg.norm(good[:, :width], axis=1), 1, rtol=1e-5)
    outputs = model.predict_batch([one.path for one in inputs if one.name != "gone.png"])
    np.testing.assert_array_equal(good[:, :width], outputs.features["visual"])
    np.testing.assert_array_equal(good[:, width:], outputs.features["language"])


def test_an_adjustment_changes_what_is_told(model, inputs):
    only = np.array([0, 0, 0, 1.0]), np.ones(4) / 4
    rows = batches(model, inputs, Adjustment("flip", 2.0, only))[1]
    assert [(row["prediction"], row["probability_1"]) for row in rows if row["error"] is None] == [("dog", 1.0)] * 3


def test_unreadable_inputs_alone_make_rows_and_no_more_places_than_classes(model):
    predictor, rows, features = batches(model, [Input("a", "a"), Input("b", "b")], top_k=9)
    assert predictor.columns()[-2:] == ["probability_4", "error"]
    assert all(row["error"] for row in rows)
    assert np.isnan(features).all()


def test_a_name_that_is_no_text_can_be_written():
    assert printable("é, \udce9") == "é, \ufffd"
