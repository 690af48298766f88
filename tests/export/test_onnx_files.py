import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import lptpp
from lptpp.export import onnx_files
from lptpp.export.onnx_files import time_left, write_onnx
from lptpp.export.programs import Program
from lptpp.export.samples import samples
from lptpp.utils.errors import UserError
from tests.export.made import CLASSES, expected_prediction, make_images, make_model, prepared


@pytest.fixture(scope="module")
def model():
    return make_model("middle", "wide")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    lines = list(write_onnx(model, samples(model.mixture, make_images(3)), folder))
    names = ["model.onnx", "expert-middle.onnx", "expert-wide.onnx"]
    assert [line.split(":")[0] for line in lines] == names
    assert [" s left" in line for line in lines] == [True, True, False]
    assert {path.name for path in folder.iterdir()} == {*names, "model.json"}
    return folder


@pytest.fixture(scope="module")
def about(folder) -> dict:
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def test_the_time_left_is_in_proportion_to_the_experts_of_the_files():
    programs = [Program(name, torch.nn.Identity(), tuple(name), {}) for name in ("abc", "a", "b", "c")]
    left = [time_left(programs, done, 30.0 * done) for done in range(5)]
    assert left == ["", ", about 30 s left", ", about 30 s left", ", about 18 s left", ""]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_other_images_get_the_same_prediction_at_any_batch_size(count, model, folder, about):
    images = make_images(count, seed=count)
    expected, given = expected_prediction(model.mixture, images), prepared(images, about["inputs"])
    probabilities, weights = onnxruntime.InferenceSession(folder / "model.onnx").run(None, given)
    # the resize of Pillow and that of torchvision differ by a gray level here and there
    np.testing.assert_allclose(probabilities, expected.probabilities, atol=0.02)
    np.testing.assert_allclose(weights, expected.weights, atol=0.02)
    if count == 8:  # the images of one batch use different groups
        assert len({tuple(sorted(chosen)) for chosen in expected.groups["middle"].tolist()}) > 1
    assert (probabilities.argmax(1) == expected.probabilities.argmax(1).numpy()).all()


def test_the_same_bytes_get_the_same_prediction(model, folder):
    found = samples(model.mixture, make_images(3, seed=7))
    for program, expected in found.expected.items():
        session = onnxruntime.InferenceSession(folder / f"{program}.onnx")
        given = {one.name: found.images[one.name.removeprefix("image_")].numpy() for one in session.get_inputs()}
        for output, wanted in zip(session.run(None, given), expected, strict=True):
            np.testing.assert_allclose(output, wanted, atol=1e-5)


def test_inputs_and_outputs_are_those_described(folder, about):
    for name, file in about["files"].items():
        onnx.checker.check_model(folder / name, full_check=True)
        session = onnxruntime.InferenceSession(folder / name)
        assert {one.name: one.shape for one in session.get_outputs()} == file["outputs"]
        assert [one.name for one in session.get_inputs()] == file["inputs"]
        for one in session.get_inputs():
            assert (one.shape, one.type) == (about["inputs"][one.name]["shape"], "tensor(uint8)")
        assert 0 <= file["largest_difference_from_pytorch"] < 1e-4


def test_the_facts_are_in_the_file_too(model, folder, about):
    assert about["class_names"] == CLASSES
    assert about["training_images"] == model.counts.tolist()
    assert about["weights_of"] == ["middle", "wide"]
    wide = about["inputs"]["image_wide"]
    assert (wide["resize_to"], wide["center_crop"], wide["keep_aspect"]) == ([40, 40], [32, 32], True)
    assert wide["inside_the_model"] == {"divide_by": 255, "mean": [0.1, 0.4, 0.6], "std": [0.2, 0.3, 0.4]}
    for name in about["files"]:
        inside = onnxruntime.InferenceSession(folder / name).get_modelmeta().custom_metadata_map["lptpp"]
        assert json.loads(inside)["inputs"] == about["inputs"]
        assert json.loads(inside)["class_names"] == CLASSES


def test_no_path_of_this_machine_is_in_them(folder):
    home = str(Path(lptpp.__file__).parents[2]).encode()
    for path in folder.iterdir():
        data = path.read_bytes()
        assert home not in data
        assert b"site-packages" not in data


def test_a_file_with_other_outputs_is_refused(model, folder, tmp_path, monkeypatch):
    """As if the conversion, which takes seconds, had made other files than PyTorch expects."""
    found = samples(model.mixture, make_images(3))
    found.expected["expert-middle"][0] = found.expected["expert-middle"][0] + 2e-4
    monkeypatch.setattr(onnx_files, "traced", lambda program, images: None)
    monkeypatch.setattr(onnx_files, "_save", lambda graph, program, about, path: shutil.copy(folder / path.name, path))
    with pytest.raises(UserError, match=r"exported expert-middle differs from PyTorch by 0\.0002, more than 0\.0001"):
        list(write_onnx(model, found, tmp_path))


def test_a_missing_extra_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"--to onnx .*lptpp\[onnx\]"):
        list(write_onnx(model, samples(model.mixture, make_images(3)), tmp_path))
