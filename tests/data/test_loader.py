import numpy as np
import pytest
import torch

from lptpp.backbones.base import Preprocessing
from lptpp.data.augment import Augmentation
from lptpp.data.cache import Pictures
from lptpp.data.dataset import Split
from lptpp.data.loader import Draw, Views, batches
from lptpp.data.transforms import each, evaluation_transform
from lptpp.utils.random import key

SMALL = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bilinear")
LARGE = Preprocessing((12, 12), (0.5,) * 3, (0.5,) * 3, "bilinear")
DRAWS: list[Draw] = [(i % 7, key(0, "augmentation", i)) for i in range(10)]


def views(memory_bytes: int = 0) -> Views:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20, 16, 3), dtype=np.uint8) for _ in range(7)]
    split = Split(list(images), np.arange(7) * 10)
    transforms = {
        "small": Augmentation(SMALL, 0.4, True, 0.3),
        "large": Augmentation(LARGE, 0.4, True, 0.3),
    }
    return Views(Pictures(split, memory_bytes), split.labels, transforms)


def rows(workers: int, memory_bytes: int = 0, batch_size: int = 4) -> list[tuple[torch.Tensor, torch.Tensor, int, int]]:
    return [
        (small, large, int(label), int(index))
        for seen, labels, indices in batches(views(memory_bytes), DRAWS, batch_size, workers)
        for small, large, label, index in zip(seen["small"], seen["large"], labels, indices, strict=True)
    ]


def same(first: list, second: list, tolerance: float = 0.0) -> bool:
    return len(first) == len(second) and all(
        all(torch.allclose(a[i], b[i], rtol=0, atol=tolerance) for i in (0, 1)) and a[2:] == b[2:]
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
def test_workers_and_memory_change_nothing(workers: int, memory_bytes: int) -> None:
    torch.manual_seed(1)
    alone = rows(workers=0)
    torch.manual_seed(2)
    assert same(alone, rows(workers, memory_bytes))


def test_the_size_of_batches_changes_only_rounding() -> None:
    assert same(rows(workers=0), rows(workers=0, batch_size=3), tolerance=1e-5)


def test_a_view_depends_on_its_key_alone() -> None:
    seen = views().of([(3, 5), (3, 5), (3, 6)])[0]["small"]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_all_transforms_get_the_same_keys() -> None:
    set_of_views = views()
    transform = set_of_views.transforms["small"]
    set_of_views.transforms = {"one": transform, "two": transform}
    seen, _, _ = set_of_views.of(DRAWS)
    pictures = [set_of_views.pictures.load(index) for index, _ in DRAWS]
    assert torch.equal(seen["one"], transform(pictures, [key for _, key in DRAWS]))
    assert torch.equal(seen["one"], seen["two"])


def test_the_first_batches_can_be_left_out() -> None:
    whole, rest = (list(batches(views(), DRAWS, 3, workers=0, first=first)) for first in (0, 2))
    assert [part[2].tolist() for part in rest] == [part[2].tolist() for part in whole[2:]]
    assert torch.equal(rest[0][0]["small"], whole[2][0]["small"])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_left_as_it_was(workers: int) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    rows(workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_views_and_no_draws() -> None:
    set_of_views = views()
    set_of_views.transforms = {"eval": each(evaluation_transform(SMALL))}
    seen = set_of_views.of([(2, 0), (2, 99)])[0]["eval"]
    assert torch.equal(seen[0], seen[1])
    assert list(batches(set_of_views, [], 4, workers=0)) == []
