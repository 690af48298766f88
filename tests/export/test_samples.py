import math

import numpy as np
import pytest
import torch

from lptpp.config import DataSettings, Settings
from lptpp.export.programs import answer_program
from lptpp.export.samples import largest_difference, sample_images, samples
from lptpp.utils.errors import UserError
from tests.export.made import make_model, make_pictures, save_pictures, truth


@pytest.fixture(scope="module")
def mixture():
    return make_model("middle", "wide").mixture


def test_the_truth_is_what_prediction_says(mixture):
    pictures = make_pictures(3)
    found, expected = samples(mixture, pictures), truth(mixture, pictures)
    np.testing.assert_allclose(found.expected["model"][0], expected.probabilities)
    np.testing.assert_allclose(found.expected["model"][1], expected.weights)
    for name, probabilities in expected.experts.items():
        np.testing.assert_allclose(found.expected[f"expert-{name}"][0], probabilities)
        assert found.pictures[name].shape == (3, 3, *mixture.experts[name].backbone.preprocessing.size)
        assert found.pictures[name].dtype == torch.uint8


def test_one_picture_is_taken_three_times(mixture):
    found = samples(mixture, make_pictures(1))
    for views in found.pictures.values():
        assert torch.equal(views[0], views[2])


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("error, passes", [(5e-5, True), (2e-4, False), (math.nan, False)])
def test_a_difference_at_one_batch_size_is_found(size, error, passes, mixture):
    found, program = samples(mixture, make_pictures(3)), answer_program(mixture)

    def run(pictures):
        with torch.no_grad():
            probabilities, weights = (output.numpy().copy() for output in program.module(*pictures))
        if len(pictures[0]) == size:
            weights[-1, 0] += error
        return [probabilities, weights]

    if passes:
        assert largest_difference(program, run, found) == pytest.approx(error, abs=1e-5)
    else:
        with pytest.raises(UserError, match=r"model, exported, differs from PyTorch by .* nothing was written"):
            largest_difference(program, run, found)


def of_folder(root) -> Settings:
    return Settings(data=DataSettings(root=str(root)))


def test_the_runs_own_pictures_are_readable_ones_of_its_test_part(tmp_path):
    for part in ("train", "test"):
        for name in ("oak", "elm"):
            save_pictures(tmp_path / part / name, 4)
    (tmp_path / "test" / "elm" / "0.png").write_bytes(b"")
    found = sample_images(of_folder(tmp_path), [])
    assert len(set(found)) == 3
    assert all("test" in path.parts and path.stat().st_size for path in found)


def test_what_cannot_be_checked_is_told(tmp_path):
    with pytest.raises(UserError, match=r"checked on pictures, give some with --picture, for: .*nowhere"):
        sample_images(of_folder(tmp_path / "nowhere"), [])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"bad\.png cannot be read: not a picture .* give another picture"):
        sample_images(of_folder(tmp_path), [tmp_path / "bad.png"])
    for name in ("train/oak", "train/elm", "test/oak", "test/elm"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "0.png").touch()
    with pytest.raises(UserError, match="None of the run's own pictures can be read"):
        sample_images(of_folder(tmp_path), [])


def test_given_pictures_are_taken_instead(tmp_path):
    paths = save_pictures(tmp_path, 5)
    assert sample_images(of_folder("nowhere"), paths) == paths[:3]
