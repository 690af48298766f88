import math

import numpy as np
import pytest
import torch

from lptpp.config import DataSettings, Settings
from lptpp.export.programs import result_program
from lptpp.export.samples import largest_difference, sample_images, samples
from lptpp.utils.errors import UserError
from tests.export.made import expected_prediction, make_images, make_model, save_images


@pytest.fixture(scope="module")
def mixture():
    return make_model("middle", "wide").mixture


def test_expected_outputs_are_those_of_predict(mixture):
    images = make_images(3)
    found, expected = samples(mixture, images), expected_prediction(mixture, images)
    np.testing.assert_allclose(found.expected["model"][0], expected.probabilities)
    np.testing.assert_allclose(found.expected["model"][1], expected.weights)
    for name, probabilities in expected.experts.items():
        np.testing.assert_allclose(found.expected[f"expert-{name}"][0], probabilities)
        assert found.images[name].shape == (3, 3, *mixture.experts[name].backbone.preprocessing.size)
        assert found.images[name].dtype == torch.uint8


def test_one_image_is_repeated_three_times(mixture):
    found = samples(mixture, make_images(1))
    for views in found.images.values():
        assert torch.equal(views[0], views[2])


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("error, passes", [(5e-5, True), (2e-4, False), (math.nan, False)])
def test_a_difference_at_one_batch_size_is_found(size, error, passes, mixture):
    found, program = samples(mixture, make_images(3)), result_program(mixture)

    def run(images):
        with torch.no_grad():
            probabilities, weights = (output.numpy().copy() for output in program.module(*images))
        if len(images[0]) == size:
            weights[-1, 0] += error
        return [probabilities, weights]

    if passes:
        assert largest_difference(program, run, found) == pytest.approx(error, abs=1e-5)
    else:
        with pytest.raises(UserError, match=r"exported model differs from PyTorch by"):
            largest_difference(program, run, found)


def of_folder(root) -> Settings:
    return Settings(data=DataSettings(root=str(root)))


def test_the_default_images_are_readable_ones_of_the_test_split(tmp_path):
    for split in ("train", "test"):
        for name in ("oak", "elm"):
            save_images(tmp_path / split / name, 4)
    (tmp_path / "test" / "elm" / "0.png").write_bytes(b"")
    found = sample_images(of_folder(tmp_path), [])
    assert len(set(found)) == 3
    assert all("test" in path.parts and path.stat().st_size for path in found)


def test_missing_and_unreadable_images_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--image.*nowhere"):
        sample_images(of_folder(tmp_path / "nowhere"), [])
    (tmp_path / "bad.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"--image: .*bad\.png"):
        sample_images(of_folder(tmp_path), [tmp_path / "bad.png"])
    for name in ("train/oak", "train/elm", "test/oak", "test/elm"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "0.png").touch()
    with pytest.raises(UserError, match="--image"):
        sample_images(of_folder(tmp_path), [])


def test_given_images_replace_the_default_ones(tmp_path):
    paths = save_images(tmp_path, 5)
    assert sample_images(of_folder("nowhere"), paths) == paths[:3]
