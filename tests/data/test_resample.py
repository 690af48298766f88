import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from lptpp.data.transforms import resample, weights

BOXES = torch.tensor([[0, 0, 40, 30], [5, 7, 20, 11], [38, 28, 2, 2], [0, 10, 1, 20], [3, 0, 37, 1]])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(32, 32), (16, 48), (7, 64), (1, 1)])
def test_is_torchvisions_resize_of_each_crop(size: tuple[int, int], interpolation: str) -> None:
    pictures = torch.rand(len(BOXES), 3, 40, 30, generator=torch.Generator().manual_seed(0))
    found = resample(pictures, BOXES, size, interpolation)
    mode = InterpolationMode(interpolation)
    for picture, box, result in zip(pictures, BOXES.tolist(), found, strict=True):
        expected = v2.functional.resized_crop(picture, *box, size, mode, antialias=True)
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_weights_sum_to_one_and_stay_in_the_box(interpolation: str) -> None:
    found = weights(torch.tensor([3, 0]), torch.tensor([5, 12]), 12, 9, interpolation)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 9))
    assert not found[0, :, :3].any()
    assert not found[0, :, 8:].any()
