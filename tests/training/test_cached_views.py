import numpy as np
import pytest
import torch

from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.loader import EpochSamples, ViewDataset
from lptpp.inference.runtime import Runner
from lptpp.training.cached_views import CachedViews, stem_maps
from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted
from lptpp.utils.errors import UserError
from lptpp.utils.random import key, keys
from tests.training.test_resume import assert_same_run, stop_at

NUMBER = 3


@pytest.fixture(scope="module")
def views(trained) -> ViewDataset:
    draw = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 2])
    images = [draw.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in labels]
    preprocessing = trained.mixture.experts["visual"].backbone.preprocessing
    transform = Augmentation(preprocessing, 0.3, True, 0.0)
    return ViewDataset(ImageCache(Split(images, labels), 2**20), labels, {"visual": transform})


@pytest.fixture(scope="module")
def cached(trained, views: ViewDataset) -> CachedViews:
    runner = Runner(torch.device("cpu"), batch_size=5)
    maps = stem_maps("visual", trained.mixture.experts["visual"], views, NUMBER, 7, 2**20, runner)
    return CachedViews(views, NUMBER, {"visual": maps})


@torch.no_grad()
def test_a_draw_takes_one_of_the_crops_of_its_picture(trained, views: ViewDataset, cached: CachedViews) -> None:
    expert = trained.mixture.experts["visual"]
    draws = EpochSamples(np.array([3, 0, 2, 0, 1, 3]), 1, "phase1")[:]
    maps, labels, indices = cached.of(draws)
    assert indices.tolist() == [3, 0, 2, 0, 1, 3]
    assert labels.tolist() == [2, 0, 1, 0, 0, 2]
    for row, (index, random_key) in enumerate(draws):
        place = index * NUMBER + random_key % NUMBER
        crop_key = keys(key(7, "cached view"), np.array([place])).tolist()[0]
        images = views.of([(index, crop_key)])[0]["visual"]
        expected = expert.backbone.tower.patch_embed.maps(images)
        torch.testing.assert_close(maps["visual"][row : row + 1], expected, atol=2e-3, rtol=2e-3)  # float16
        torch.testing.assert_close(
            expert(maps["visual"][row : row + 1]).cosines, expert(images).cosines, atol=5e-3, rtol=0
        )


def test_a_picture_has_as_many_different_crops_as_asked_for(cached: CachedViews) -> None:
    maps = cached.maps["visual"].unflatten(0, (4, NUMBER)).flatten(2)
    assert all(len({tuple(crop.tolist()) for crop in picture}) == NUMBER for picture in maps)


def test_a_run_on_cached_views_goes_on_to_the_same_weights(settings_of, tmp_path, monkeypatch) -> None:
    quick = ["augmentation.cached_views=2", "evaluation.baselines=[]", "phase2.epochs=1", "phase3.epochs=1"]
    fit(settings_of(tmp_path / "whole", *quick))
    with monkeypatch.context() as patch:
        stop_at(patch, 1, 1)
        with pytest.raises(Interrupted):
            fit(settings_of(tmp_path / "parts", *quick))
    fit(settings_of(tmp_path / "parts", *quick))
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["data.memory_gb=0.000001"], r"augmentation\.cached_views: .*expert visual .*data\.memory_gb"),
        (["method=full"], r"augmentation\.cached_views: expert visual .*backbone"),
        (["augmentation.cached_views=-1"], r"augmentation\.cached_views=-1"),
    ],
)
def test_refuses_what_cannot_be_cached(settings_of, tmp_path, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit(settings_of(tmp_path, "augmentation.cached_views=2", *overrides))
