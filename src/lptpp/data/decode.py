"""Decoding: from an image file to 8-bit RGB pixels.

- Only the first frame of an animation is used.
- An image much larger than the run needs is shrunk (`lptpp.data.sizes`); a large JPEG is decoded at 1/2, 1/4 or 1/8.
- The EXIF orientation is applied; if the EXIF data are damaged, the image stays as stored.
- Transparency (RGBA, LA, PA, a transparent palette entry or gray level) is composited on white.
- Gray levels of more than 8 bits and floating-point values are scaled by `lptpp.data.levels`.
- Palette, gray, bilevel, CMYK, YCbCr, LAB and HSV images are converted by Pillow.
- An array must be uint8 RGB.
"""

import contextlib
import math
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from lptpp.data.dataset import ImageReference, image_bytes
from lptpp.data.formats import open_image, pixels_in_memory, too_much_text, without_texts
from lptpp.data.levels import eight_bits, has_levels
from lptpp.data.sizes import FULL, Enough

LARGEST_MEGAPIXELS = 50
LARGEST_RATIO = 100  # of the sides: resizing a longer image until it covers the input takes gigabytes
DAMAGED = (OSError, EOFError, SyntaxError, struct.error, zlib.error)  # what Pillow raises for bytes it cannot decode
REDUCING_GAP = 2  # a JPEG is decoded at twice the wanted size or more, so that its blocks leave no trace


@dataclass(frozen=True)
class Decoding:
    """How the images of a run are decoded.

    `enough` is the size that the run needs, `largest_megapixels` the limit on what is decoded, `white` the value of
    white in images of more than 8 bits (None: see `lptpp.data.levels`).
    """

    enough: Enough = FULL
    largest_megapixels: float = LARGEST_MEGAPIXELS
    white: float | None = None

    def up_to(self, largest_megapixels: float | None) -> "Decoding":
        """Return the same with another limit; None keeps it."""
        return self if largest_megapixels is None else replace(self, largest_megapixels=largest_megapixels)


LIMITED = Decoding()
UNLIMITED = Decoding(largest_megapixels=math.inf)


class RefusedImage(Exception):
    """An image that is not decoded because of its size; the message follows its name."""


def decode(reference: ImageReference, how: Decoding = UNLIMITED) -> Image.Image:
    """Return the image in mode RGB.

    Raises `RefusedImage`, `UserError` if an extra is missing, and what Pillow raises for a broken file.
    """
    if isinstance(reference, np.ndarray):
        _check_ratio(reference.shape[1], reference.shape[0])
        return _shrunk(Image.fromarray(reference), how.enough)
    data, name = image_bytes(reference), str(reference)
    try:
        return _decoded(data, name, how)
    except ValueError as error:
        if not too_much_text(error):
            raise
        return _decoded(without_texts(data), name, how)


def of_pillow(image: Image.Image, white: float | None = None) -> Image.Image:
    """Return a Pillow image in mode RGB, turned and converted as a file would be; the image itself stays the same."""
    copied = image.copy()
    with contextlib.suppress(Exception):  # damaged EXIF data do not affect the pixels
        ImageOps.exif_transpose(copied, in_place=True)
    return _rgb(copied, "The image", white)


def try_decode(reference: ImageReference, how: Decoding = LIMITED) -> Image.Image | str:
    """Return the image in mode RGB, or the reason why it cannot be used. Checks the size before decoding."""
    if isinstance(reference, np.ndarray) and (problem := _array_problem(reference)):
        return problem
    try:
        return decode(reference, how)
    except RefusedImage as refused:
        return str(refused)
    except Exception as error:  # Pillow's readers raise nearly anything for a broken file
        return f"cannot be read: {decode_failure(reference, error)}"


def unreadable_reason(reference: ImageReference, how: Decoding = LIMITED) -> str | None:
    """Return why an image cannot be used, None if it can."""
    decoded = try_decode(reference, how)
    return decoded if isinstance(decoded, str) else None


def decode_failure(reference: ImageReference, error: Exception) -> str:
    """Return in words why `decode` raised `error`."""
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, UnidentifiedImageError) and not isinstance(reference, np.ndarray):
        return "not in a supported image format" if reference.read_bytes() else "the file is empty"
    if isinstance(error, DAMAGED) and getattr(error, "errno", None) is None:
        return "damaged or incomplete file"
    return str(error) or type(error).__name__


def image_size(reference: ImageReference) -> tuple[int, int] | None:
    """Return width and height without decoding, after the EXIF orientation; None for an unreadable file."""
    if isinstance(reference, np.ndarray):
        return reference.shape[1], reference.shape[0]
    try:
        with open_image(image_bytes(reference)) as image:
            turned = image.format != "TIFF" and image.getexif().get(0x0112) in (
                5,
                6,
                7,
                8,
            )  # Pillow turns a TIFF itself
            return image.size[::-1] if turned else image.size
    except Exception:  # the reason is found when the image is decoded
        return None


def pixels(image: Image.Image) -> torch.Tensor:
    """Return an RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _decoded(data: bytes, name: str, how: Decoding) -> Image.Image:
    with open_image(data) as image:
        _check_ratio(*image.size)
        shrinks = how.enough.shrinks(*image.size)
        counted = _drafted(image, how.enough) if shrinks else pixels_in_memory(image)
        if counted > how.largest_megapixels * 1e6:
            raise RefusedImage(_too_large(counted / 1e6, how.largest_megapixels))
        image.load()
        with contextlib.suppress(Exception):  # damaged EXIF data do not affect the pixels
            ImageOps.exif_transpose(image, in_place=True)
        return _resized(_rgb(image, name, how.white), how.enough) if shrinks else _rgb(image, name, how.white)


def _drafted(image: Image.Image, enough: Enough) -> int:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size if that is enough; return the pixels to decode.

    A progressive JPEG is counted in full: its coefficients are held in memory.
    """
    full = pixels_in_memory(image)
    width, height = enough.size(*image.size)
    image.draft(None, (REDUCING_GAP * width, REDUCING_GAP * height))
    return full if image.info.get("progressive") else pixels_in_memory(image)


def _shrunk(image: Image.Image, enough: Enough) -> Image.Image:
    return _resized(image, enough) if enough.shrinks(*image.size) else image


def _resized(image: Image.Image, enough: Enough) -> Image.Image:
    return image.resize(enough.size(*image.size), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def _check_ratio(width: int, height: int) -> None:
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise RefusedImage(f"is {width:,} × {height:,} pixels, an aspect ratio above {LARGEST_RATIO}")


def _too_large(megapixels: float, largest: float) -> str:
    return (
        f"has {megapixels:.1f} megapixels, more than {largest:g} (raise data.largest_megapixels; predict and app:"
        " --largest-megapixels)"
    )


def _rgb(image: Image.Image, name: str, white: float | None = None) -> Image.Image:
    if has_levels(image):
        return eight_bits(image, name, white)
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), foreground).convert("RGB")
    return image.convert("RGB")


def _array_problem(array: np.ndarray) -> str | None:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        return f"cannot be read: an array of {array.dtype} {array.shape}, expected uint8 (height, width, 3)"
    return None
