import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lptpp
import lptpp.ray
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_images
from lptpp.ray import Classifier
from lptpp.utils.errors import UserError

NAMES = ["prediction", "label_1", "probability_1", "label_2", "probability_2", "error"]


@pytest.fixture(scope="module")
def files(pictures) -> list[str]:
    return [str(path) for path in sorted(pictures.glob("test/*/*.png"))]


@pytest.fixture(scope="module")
def classifier(trained) -> Classifier:
    return Classifier(trained.folder, top_k=2)


def forms(files: list[str]) -> dict[str, np.ndarray]:
    """Return the same images as paths, as the bytes of files, as one array, and as an array of arrays."""
    arrays = [np.asarray(Image.open(file)) for file in files]
    ragged = np.empty(len(files), dtype=object)
    ragged[:] = arrays
    encoded = np.array([Path(file).read_bytes() for file in files], dtype=object)
    return {"path": np.array(files), "bytes": encoded, "image": np.stack(arrays), "ragged": ragged}


def test_a_batch_gets_the_columns_of_lptpp_predict(classifier, trained, files):
    found = classifier({"path": np.array(files), "id": np.arange(len(files))})
    assert list(found) == ["path", "id", *NAMES]
    expected = predict_images(trained.folder, [Path(file) for file in files], PredictOptions(top_k=2))
    for name in NAMES[:-1]:
        assert found[name].tolist() == [row[name] for row in expected]
    assert found["error"].tolist() == [""] * len(files)
    assert found["probability_1"].dtype == np.float64


def test_paths_bytes_and_arrays_are_predicted_alike(trained, files):
    classifier = Classifier(trained.folder, column="x", top_k=2)
    found = [classifier({"x": values}) for values in forms(files).values()]
    for one in found[1:]:
        assert "x" not in one  # pixels are not passed on
        assert {name: one[name].tolist() for name in NAMES} == {name: found[0][name].tolist() for name in NAMES}


def test_an_unreadable_image_has_an_error_and_no_prediction(classifier, files):
    given = np.array([files[0], "missing.png", None], dtype=object)
    found = classifier({"path": given})
    assert found["error"].tolist() == ["", "cannot be read: file not found", "no path is given"]
    assert found["label_1"].tolist()[1:] == found["prediction"].tolist()[1:] == ["", ""]
    assert np.isnan(found["probability_2"]).tolist() == [False, True, True]


def test_a_batch_without_rows_has_the_same_columns(classifier):
    assert {len(values) for values in classifier({"path": np.array([], dtype=object)}).values()} == {0}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"file": ["a"]}, "no column named image, bytes or path, but file: name the one of the images as `column`"),
        ({"path": ["a"], "error": [""]}, "already has the column error: rename it"),
    ],
)
def test_columns_that_do_not_fit_are_refused(classifier, batch, message):
    with pytest.raises(UserError, match=message):
        classifier({name: np.array(values) for name, values in batch.items()})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": 2}, "no such option of lptpp.ray; did you mean top_k?"),
        ({"top_k": 0}, "expected 1 or more"),
        ({"prior": "estimated"}, "needs all images at once"),
        ({"overwrite": True}, "no such option"),
    ],
)
def test_wrong_options_are_refused(trained, options, message):
    with pytest.raises(UserError, match=message):
        Classifier(trained.folder, **options)


def test_without_ray_the_extra_is_named(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'lptpp.ray.predict requires an extra: run pip install "lptpp\[ray\]"'):
        lptpp.ray.predict(None, trained.folder, 1)


def test_a_local_cluster_predicts_as_one_process(classifier, trained, files):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        dataset = ray.data.from_items([{"path": file, "id": place} for place, file in enumerate([*files, "missing"])])
        with pytest.raises(UserError, match="nothing does not exist"):
            lptpp.ray.predict(dataset, trained.folder / "nothing", 1)
        with pytest.raises(UserError, match=r"Expected a ray.data.Dataset"):
            lptpp.ray.predict(files, trained.folder, 1)
        predicted = lptpp.ray.predict(dataset, trained.folder, 2, {"top_k": 2}, batch_size=5)
        rows = sorted(predicted.take_all(), key=lambda row: row["id"])
    finally:
        ray.shutdown()
    expected = classifier({"path": np.array([*files, "missing"])})
    for name in NAMES:
        assert str([row[name] for row in rows]) == str(expected[name].tolist())
