"""Views of large photos, which the image cache keeps at the size that a run needs, against those of small images."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image

from benchmarks.speed.goals import Finding
from benchmarks.speed.timing import Case, Measurement, measure, time_ratio
from benchmarks.speed.workload import demo_settings
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import EncodedImage, Split
from lptpp.data.decode import Decoding
from lptpp.data.loader import EpochSamples, ViewDataset
from lptpp.data.prepare import preprocessings
from lptpp.data.sizes import enough

NUMBER = 35  # images, a small collection of photos
PHOTO, SMALL = (4000, 3000), (400, 300)  # width, height; a photo of 12 megapixels as of a phone
SMALLEST_CROP = 0.5


def findings(rounds: int) -> Iterator[Finding]:
    """Yield the time of an epoch of photos after the first relative to one of small images."""
    measured = epochs(rounds)
    megapixels = PHOTO[0] * PHOTO[1] / 1e6
    where = f"{NUMBER} photos of {megapixels:.0f} megapixels, cpu"
    yield Finding("photos", where, {"": time_ratio(measured["photos"], measured["small images"])})


def epochs(rounds: int) -> dict[str, Measurement]:
    """Measure an epoch of views of cached photos, and of cached small images."""
    cases = [Case("photos", _epoch(PHOTO), NUMBER), Case("small images", _epoch(SMALL), NUMBER)]
    return measure("Views of photos", cases, torch.device("cpu"), rounds)


def _epoch(size: tuple[int, int]) -> Callable[[], object]:
    """Return what computes all views of `NUMBER` images of a size, which are decoded and cached first."""
    wanted = preprocessings(demo_settings())["visual"]
    split = Split([EncodedImage(_jpeg(size), "photo")] * NUMBER, np.zeros(NUMBER))
    images = ImageCache(split, 2**31, Decoding(enough([wanted], SMALLEST_CROP)))
    views = ViewDataset(images, split.labels, {"visual": Augmentation(wanted, SMALLEST_CROP, True, 0.0)})
    views.fill()
    return lambda: views.of(EpochSamples(np.arange(NUMBER), 0)[:])


def _jpeg(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    drawn = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(drawn).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()
