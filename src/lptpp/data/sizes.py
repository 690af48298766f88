"""The smallest size of a decoded image at which no crop of a run is enlarged (docs/data/index.md, Large images)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lptpp.backbones.preprocessing import Preprocessing

NARROWEST = 3 / 4  # ratio of the sides of the most elongated random crop, see lptpp.data.augment
CORNERS = 7 / 8  # of the resized image's side that a corner crop keeps at most, see lptpp.inference.views
WORTHWHILE = 2  # an image is shrunk only if each side becomes this many times shorter


@dataclass(frozen=True)
class Enough:
    """Lower bounds, in pixels, on the shorter side, the square root of the area, and the longer side of an image."""

    shorter: float = 0
    mean: float = 0
    longer: float = 0

    def scale(self, width: int, height: int) -> float:
        """Return the smallest factor on the sides that keeps the bounds; above 1 if the image is too small already."""
        bounds = (
            (self.shorter, min(width, height)),
            (self.mean, math.sqrt(width * height)),
            (self.longer, max(width, height)),
        )
        return max(bound / found for bound, found in bounds)

    def shrinks(self, width: int, height: int) -> bool:
        """Return whether an image is so much larger that it is worth resampling it twice."""
        return self.scale(width, height) * WORTHWHILE <= 1

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the smallest width and height that keep the bounds and the aspect ratio; never a larger size."""
        scale = min(self.scale(width, height), 1)
        return math.ceil(width * scale), math.ceil(height * scale)


FULL = Enough(shorter=math.inf)  # the size as it is


def enough(preprocessings: Iterable[Preprocessing], smallest_crop: float) -> Enough:
    """Return what the evaluation views and the random crops of all backbones need; `FULL` without backbones.

    A random crop keeps the share `smallest_crop` of the area, so its shorter side is at least √(¾ · share · area).
    """
    needs = [_need(one, smallest_crop) for one in preprocessings]
    if not needs:
        return FULL
    return Enough(*(max(bounds) for bounds in zip(*((n.shorter, n.mean, n.longer) for n in needs), strict=True)))


def _need(preprocessing: Preprocessing, smallest_crop: float) -> Enough:
    resized = max(preprocessing.size) / min(preprocessing.crop_share, CORNERS)
    cropped = max(preprocessing.size) / math.sqrt(NARROWEST * smallest_crop) if smallest_crop < 1 else 0
    by_resize = {"crop": Enough(shorter=resized), "squash": Enough(shorter=resized), "pad": Enough(longer=resized)}
    by_crops = {"crop": Enough(mean=cropped), "squash": Enough(shorter=cropped), "pad": Enough(longer=cropped)}
    tested, trained = by_resize[preprocessing.resize], by_crops[preprocessing.crops]
    return Enough(max(tested.shorter, trained.shorter), trained.mean, max(tested.longer, trained.longer))
