"""Opening image files: without Pillow's process-wide limits, PNGs with large texts, and HEIC with an extra."""

import io
import struct
import threading
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from lptpp.utils.extras import extra

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks that do not affect the pixels read here
_opening = threading.Lock()


def open_image(data: bytes) -> Image.Image:
    """Open the bytes of an image file; the pixels are not decoded yet. Raises what Pillow raises, `UserError` for HEIC.

    Pillow's limit on pixels is not applied: `lptpp.data.decode` has its own.
    """
    try:
        return _opened(data)
    except UnidentifiedImageError:
        if not is_heif(data):
            raise
        extra("pillow_heif", "heif", "HEIC").register_heif_opener()
        return _opened(data)


def is_heif(data: bytes) -> bool:
    """Return whether the bytes are a HEIC or HEIF file, the format of many phones."""
    return data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS


def too_much_text(error: Exception) -> bool:
    """Return whether Pillow refused a PNG for the size of its texts or of its color profile, not for its pixels."""
    return isinstance(error, ValueError) and "MAX_TEXT" in str(error)


def without_texts(data: bytes) -> bytes:
    """Return a PNG file without its texts and color profile."""
    return PNG + b"".join(chunk for kind, chunk in _chunks(data) if kind not in TEXTS)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and all bytes of each chunk: length, type, content, checksum."""
    start = len(PNG)
    while start + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, data[start : start + 12 + length]
        start += 12 + length


def _opened(data: bytes) -> Image.Image:
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
