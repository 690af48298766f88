"""From an image file to 8-bit RGB pixels, by these rules:

- the first frame of an animation, turned upright as its EXIF orientation says (damaged EXIF: as stored);
- transparency (RGBA, LA, PA, a transparent palette entry or gray level) is laid on white;
- 16-bit gray (I;16, I;16B, I) is divided by 257, so that 65,535 is white;
- floating-point gray (F) is taken as 0 to 1 if no value is above 1, else as 0 to 255; what is outside is
  clipped;
- palette, gray, bilevel, CMYK, YCbCr, LAB and HSV go through Pillow's conversion;
- a picture in memory is uint8 RGB already.
"""

import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lptpp.data.dataset import ImageReference, Stored

LARGEST_MEGAPIXELS = 25
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_opening = threading.Lock()


def decode(reference: ImageReference) -> Image.Image:
    """Return the picture in mode RGB, by the rules above; raises what Pillow raises for a broken file."""
    if isinstance(reference, np.ndarray):
        return Image.fromarray(reference)
    with _open(reference) as image:
        return _decoded(image)


def problem(reference: ImageReference, largest_megapixels: float = LARGEST_MEGAPIXELS) -> str | None:
    """Return in words why a picture cannot be used, None if it can: its size is read first, then the rest."""
    found = examine(reference, largest_megapixels)
    return found if isinstance(found, str) else None


def examine(reference: ImageReference, largest_megapixels: float = LARGEST_MEGAPIXELS) -> Image.Image | str:
    """Return the picture as `decode` does, or in words why it cannot be used."""
    if isinstance(reference, np.ndarray):
        return _array_problem(reference) or Image.fromarray(reference)
    try:
        with _open(reference) as image:
            megapixels = image.width * image.height / 1e6
            if megapixels > largest_megapixels:
                return f"has {megapixels:.1f} megapixels, more than {largest_megapixels:g}"
            return _decoded(image)
    except Exception as error:  # a broken file makes Pillow's readers raise nearly anything
        return f"cannot be read: {why(reference, error)}"


def _open(file: Path | Stored) -> Image.Image:
    """Open a file without Pillow's limit on the size, which is the process's: `examine` has its own."""
    data = io.BytesIO(file.read_bytes())
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(data)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decoded(image: Image.Image) -> Image.Image:
    image.load()
    turn = _turn(image)
    rgb = _rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    # not ImageOps.exif_transpose, which fails where EXIF data are damaged: that spoils no pixel
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        return _eight_bits(_float_levels(np.asarray(image)))
    if image.mode.startswith("I"):
        return _eight_bits(np.asarray(image) / 257)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), picture).convert("RGB")
    return image.convert("RGB")


def _float_levels(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(values)
    return values * 255 if values.max() <= 1 else values


def _eight_bits(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")


def _array_problem(array: np.ndarray) -> str | None:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        return f"cannot be read: an array of {array.dtype} {array.shape}, expected uint8 (height, width, 3)"
    return None


def why(reference: ImageReference, error: Exception) -> str:
    """Return in words why `decode` raised this error."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError) and not isinstance(reference, np.ndarray):
        return "not a picture in a format that Pillow knows" if reference.read_bytes() else "the file is empty"
    return str(error) or type(error).__name__
