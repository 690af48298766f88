"""Opening image files: the formats that are read, Pillow's limits, PNGs with large texts, and HEIC with an extra.

Formats that are read by other programs (EPS by Ghostscript) or seldom are not opened, whatever the suffix says.
"""

import io
import struct
import threading
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from lptpp.utils.extras import extra

ACCEPTED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "PCX", "TGA")
Image.init()
FORMATS = tuple(name for name in ACCEPTED if name in Image.OPEN)  # Pillow reads AVIF from 11.3 on
ICO, ICON_PIXELS = b"\0\0\1\0", 4_000_000  # an icon is decoded when it is opened, before its size is known
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of a TIFF
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks that do not affect the pixels read here
_opening = threading.Lock()


def open_image(data: bytes) -> Image.Image:
    """Open the bytes of an image file; the pixels are not decoded yet. Raises what Pillow raises, `UserError` for HEIC.

    The limit on pixels is that of `lptpp.data.decode`, after opening; an icon, decoded by opening, has Pillow's.
    """
    try:
        return _opened(data, FORMATS)
    except UnidentifiedImageError:
        if not is_heif(data):
            raise
        extra("pillow_heif", "heif", "HEIC").register_heif_opener()
        return _opened(data, ("HEIF",))


def pixels_in_memory(image: Image.Image) -> int:
    """Return the number of pixels that decoding holds at once: those of the image, or of a larger tile of a TIFF."""
    tags = getattr(image, "tag_v2", {})
    return max(image.width * image.height, tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0))


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


def _opened(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    with _opening:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = ICON_PIXELS if data.startswith(ICO) else None
        try:
            return Image.open(io.BytesIO(data), formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
