"""Gray levels of more than 8 bits and floating-point values, scaled to 0 to 255.

White is `data.white_level`, or what the file states (TIFF: 12 bits, MaxSampleValue), or else the smallest of
`WHITES` (`FLOAT_WHITES`) that no value exceeds. The last is a guess unless it is the largest value of 16 bits or,
for floating point, 1: the first image of each kind is then named in a warning.
"""

import logging
import math
import threading

import numpy as np
from PIL import Image

log = logging.getLogger("lptpp")
WHITES = (255, 4_095, 65_535)  # 8, 12 and 16 bits
FLOAT_WHITES = (1, *WHITES)
OVERSHOOT = 1.2  # floating-point values so far above white are clipped: resampling overshoots
BITS, LARGEST = 258, 281  # TIFF tags BitsPerSample and MaxSampleValue
_warned: set[float] = set()
_warning = threading.Lock()


def has_levels(image: Image.Image) -> bool:
    """Return whether an image has one channel of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def eight_bits(image: Image.Image, name: str, white: float | None = None) -> Image.Image:
    """Return an image of mode I, I;16 or F as RGB; `name` is its name in the warning. Values outside are clipped."""
    values = _finite(np.asarray(image).astype(np.float64))
    white = white or _stated(image) or _guessed(values, name, image.mode == "F")
    levels = (values * (255 / white)).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def _finite(values: np.ndarray) -> np.ndarray:
    """Replace nan and negative infinity by 0 and infinity by the largest finite value."""
    finite = values[np.isfinite(values)]
    return np.nan_to_num(values, nan=0, neginf=0, posinf=finite.max() if finite.size else 0)


def _stated(image: Image.Image) -> float | None:
    tags = getattr(image, "tag_v2", {})
    if LARGEST in tags:
        return float(np.max(tags[LARGEST])) or None
    bits = int(np.max(tags.get(BITS, 16)))
    return 2.0**bits - 1 if 8 < bits < 16 else None


def _guessed(values: np.ndarray, name: str, floating: bool) -> float:
    """Return the assumed value of white; warn once for each unless it is certain."""
    largest = float(values.max())
    whites, slack = (FLOAT_WHITES, OVERSHOOT) if floating else (WHITES, 1)
    white = next((one for one in whites if largest <= slack * one), largest)
    certain = 1 if floating else 65_535
    if largest > 0 and white != certain and _is_first(white if white in whites else math.inf):
        log.warning(
            "%s has values up to %g in more than 8 bits: %g is taken as white, in similar images too. If another value"
            " is white, set data.white_level.",
            *(name, largest, white),
        )
    return white


def _is_first(kind: float) -> bool:
    with _warning:
        first = kind not in _warned
        _warned.add(kind)
    return first
