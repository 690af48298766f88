import numpy as np
import pytest
import torch

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config.choices import VIEW_NAMES
from lptpp.data.transforms import ResizeToCover, evaluation_transform, interpolation_mode
from lptpp.inference.views import VIEWS

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def preprocessing(crop_share: float) -> Preprocessing:
    return Preprocessing((8, 6), MEAN, STD, "bicubic", crop_share)


def picture(high: int = 20, wide: int = 31, seed: int = 0) -> torch.Tensor:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, high, wide), dtype=np.uint8)
    return torch.from_numpy(pixels)


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    channels = [(pixels[c].double() / 255 - MEAN[c]) / STD[c] for c in range(3)]
    return torch.stack(channels).float()


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("crop_share", [0.7, 0.875, 1.0])
def test_the_first_view_is_the_one_without_ensembling_and_the_number_is_right(name, crop_share):
    kind = VIEWS[name]
    found = kind.transform(preprocessing(crop_share))(picture())
    assert found.shape == (kind.number, 3, 8, 6)
    assert torch.equal(found[0], evaluation_transform(preprocessing(crop_share))(picture()))


def test_the_second_view_of_a_flip_is_mirrored():
    plain, mirrored = VIEWS["flip"].transform(preprocessing(0.9))(picture())
    assert torch.equal(mirrored, torch.from_numpy(plain.numpy()[:, :, ::-1].copy()))
    assert not torch.equal(mirrored, plain)


@pytest.mark.parametrize("crop_share, around", [(0.5, (16, 12)), (0.875, (9, 6)), (1.0, (9, 6))])
def test_the_other_four_of_five_crops_are_the_corners_of_the_resized_picture(crop_share, around):
    chosen = preprocessing(crop_share)
    resized = ResizeToCover(around, interpolation_mode(chosen))(picture())  # (3, H, W)
    corners = [resized[:, :8, :6], resized[:, :8, -6:], resized[:, -8:, :6], resized[:, -8:, -6:]]
    found = VIEWS["five_crops"].transform(chosen)(picture())[1:]
    for view, corner in zip(found, corners, strict=True):
        torch.testing.assert_close(view, normalized(corner), rtol=0, atol=1e-6)
    assert len({view.numpy().tobytes() for view in found}) == 4


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (8, 6)])
def test_a_picture_of_any_shape_has_five_crops(shape):
    assert VIEWS["five_crops"].transform(preprocessing(1.0))(picture(*shape)).shape == (5, 3, 8, 6)


def test_the_settings_know_the_views_by_the_same_names():
    assert tuple(VIEWS) == VIEW_NAMES
