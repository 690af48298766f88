"""Decoding: from an image file to 8-bit RGB pixels.

- Only the first frame of an animation is used.
- The EXIF orientation is applied; if the EXIF data are damaged, the image stays as stored.
- Transparency (RGBA, LA, PA, a transparent palette entry or gray level) is composited on white.
- 16-bit gray (I;16, I;16B, I) is divided by 257, so that 65,535 is white.
- Floating-point gray (F) is read as 0 to 1 if no value is above 1, else as 0 to 255; values outside are clipped.
- Palette, gray, bilevel, CMYK, YCbCr, LAB and HSV images are converted by Pillow.
- An array is used as is and must be uint8 RGB.
"""

import contextlib
import io
import threading
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from lptpp.data.dataset import ImageReference, StoredImage

LARGEST_MEGAPIXELS = 25
_opening = threading.Lock()


def decode(reference: ImageReference) -> Image.Image:
    """Return the image in mode RGB; raises what Pillow raises for a broken file."""
    if isinstance(reference, np.ndarray):
        return Image.fromarray(reference)
    with _open(reference) as image:
        return _decoded(image)


def of_pillow(image: Image.Image) -> Image.Image:
    """Return a Pillow image in mode RGB as `decode` returns the file it came from; the image itself stays the same."""
    return _decoded(image.copy())


def try_decode(reference: ImageReference, largest_megapixels: float = LARGEST_MEGAPIXELS) -> Image.Image | str:
    """Return the image in mode RGB, or the reason why it cannot be used. Checks the size before decoding."""
    if isinstance(reference, np.ndarray):
        return _array_problem(reference) or Image.fromarray(reference)
    try:
        with _open(reference) as image:
            megapixels = image.width * image.height / 1e6
            if megapixels > largest_megapixels:
                return f"has {megapixels:.1f} megapixels, more than {largest_megapixels:g}"
            return _decoded(image)
    except Exception as error:  # Pillow's readers raise nearly anything for a broken file
        return f"cannot be read: {decode_failure(reference, error)}"


def unreadable_reason(reference: ImageReference, largest_megapixels: float = LARGEST_MEGAPIXELS) -> str | None:
    """Return why an image cannot be used, None if it can."""
    decoded = try_decode(reference, largest_megapixels)
    return decoded if isinstance(decoded, str) else None


def decode_failure(reference: ImageReference, error: Exception) -> str:
    """Return in words why `decode` raised `error`."""
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, UnidentifiedImageError) and not isinstance(reference, np.ndarray):
        return "not an image format supported by Pillow" if reference.read_bytes() else "the file is empty"
    return str(error) or type(error).__name__


def pixels(image: Image.Image) -> torch.Tensor:
    """Return an RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _open(file: Path | StoredImage) -> Image.Image:
    """Open a file without Pillow's process-wide size limit; `try_decode` has its own."""
    data = io.BytesIO(file.read_bytes())
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(data)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decoded(image: Image.Image) -> Image.Image:
    image.load()
    with contextlib.suppress(Exception):  # damaged EXIF data do not affect the pixels
        ImageOps.exif_transpose(image, in_place=True)
    return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        return _eight_bits(_float_levels(np.asarray(image)))
    if image.mode.startswith("I"):
        return _eight_bits(np.asarray(image) / 257)
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), foreground).convert("RGB")
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
