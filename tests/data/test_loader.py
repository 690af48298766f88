import numpy as np
import pytest
import torch

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.collection import Split
from lptpp.data.loader import Draw, Views, batches
from lptpp.data.pictures import Pictures
from lptpp.data.transforms import evaluation_transform, training_transform
from lptpp.randomness import key

SMALL = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bilinear")
LARGE = Preprocessing((12, 12), (0.5,) * 3, (0.5,) * 3, "bilinear")
DRAWS: list[Draw] = [(i % 7, key(0, "augmentation", i)) for i in range(10)]


def views(memory_bytes: int = 0) -> Views:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20, 16, 3), dtype=np.uint8) for _ in range(7)]
    split = Split(list(images), np.arange(7) * 10)
    transforms = {
        "small": training_transform(SMALL, 0.4, True, 0.3),
        "large": training_transform(LARGE, 0.4, True, 0.3),
    }
    return Views(Pictures(split, memory_bytes), split.labels, transforms)


def rows(workers: int, memory_bytes: int = 0, batch_size: int = 4) -> list[tuple[torch.Tensor, torch.Tensor, int, int]]:
    return [
        (small, large, int(label), int(index))
        for seen, labels, indices in batches(views(memory_bytes), DRAWS, batch_size, workers)
        for small, large, label, index in zip(seen["small"], seen["large"], labels, indices, strict=True)
    ]


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[2:] == b[2:]
        for a, b in zip(first, second, strict=True)
    )


def test_batches_have_the_shapes_and_the_order_of_the_draws() -> None:
    found = list(batches(views(), DRAWS, 4, workers=0))
    assert [len(labels) for _, labels, _ in found] == [4, 4, 2]
    seen, labels, indices = found[0]
    assert seen["small"].shape == (4, 3, 8, 8)
    assert seen["large"].shape == (4, 3, 12, 12)
    assert seen["small"].dtype == torch.float32
    assert labels.dtype == indices.dtype == torch.int64
    assert torch.cat([part[2] for part in found]).tolist() == [index for index, _ in DRAWS]
    assert torch.cat([part[1] for part in found]).tolist() == [10 * index for index, _ in DRAWS]


@pytest.mark.parametrize("memory_bytes", [0, 3 * 960, 10**6])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_memory_and_batch_size_change_nothing(workers: int, memory_bytes: int) -> None:
    torch.manual_seed(1)
    alone = rows(workers=0)
    torch.manual_seed(2)
    assert same(alone, rows(workers, memory_bytes, batch_size=3))


def test_a_view_depends_on_its_key_alone() -> None:
    set_of_views = views()
    first, again, other = (set_of_views[3, number][0]["small"] for number in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_transforms_start_from_the_same_key() -> None:
    set_of_views = views()
    transform = set_of_views.transforms["small"]
    set_of_views.transforms = {"one": transform, "two": transform}
    for number in range(5):
        seen, _, _ = set_of_views[0, number]
        torch.manual_seed(number)
        assert torch.equal(seen["one"], transform(set_of_views.pictures.load(0)))
        assert torch.equal(seen["one"], seen["two"])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_left_as_it_was(workers: int) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    rows(workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_views_and_no_draws() -> None:
    set_of_views = views()
    set_of_views.transforms = {"eval": evaluation_transform(SMALL)}
    assert torch.equal(set_of_views[2, 0][0]["eval"], set_of_views[2, 99][0]["eval"])
    assert list(batches(set_of_views, [], 4, workers=0)) == []
