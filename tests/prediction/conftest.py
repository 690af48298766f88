"""Predictions by one small model, loaded once, and a list of pictures with one that is gone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import lptpp
from lptpp.prediction import predict as prediction
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_paths


@pytest.fixture(scope="module")
def loaded_once(trained) -> Iterator[None]:
    """Load the model once for all tests; one thread, as forked processes have: their number moves the last bits."""
    model, threads = lptpp.load(trained.folder), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "load", lambda run: model)
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def predict(trained, loaded_once, tmp_path) -> Callable:
    """Return a function of an output's name, paths and options."""
    return lambda name, *paths, **options: predict_paths(
        trained.folder, paths, tmp_path / name, PredictOptions(**options)
    )


@pytest.fixture
def listed(pictures, tmp_path) -> Path:
    """A list of 14 lines: every picture of the test part, one that is gone in the middle, the first once more."""
    images = [str(path) for path in sorted(pictures.glob("test/*/*.png"))]
    (tmp_path / "list.txt").write_text("\n".join([*images[:6], "gone.png", *images[6:], images[0]]))
    return tmp_path / "list.txt"
