"""Small files that ask for much memory or time, or for another program, and the most that they may take."""

import io
import struct
import zlib
from functools import cache

from PIL import Image

MOST_SECONDS, MOST_MEGABYTES = 1.0, 100


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes = b"", more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def zeros(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes * 2**20), 9)


def ico(inner: bytes) -> bytes:
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


def dib(width: int, height: int) -> bytes:
    return struct.pack("<IiiHHIIiiII", 40, width, height, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(64)


def tiff(width: int, height: int, tile: int = 0) -> bytes:
    """Return a TIFF with strips, or with tiles of tile × tile pixels, and next to no data."""
    layout = [(322, tile), (323, tile), (324, 8), (325, 64)] if tile else [(273, 8), (278, height), (279, 64)]
    tags = sorted([(256, width), (257, height), (258, 8), (259, 8), (262, 1), (277, 1), *layout])
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + body + struct.pack("<I", 0) + bytes(64)


def gif(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def webp(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int) -> bytes:
    """Return a progressive JPEG whose header claims another size."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG", progressive=True)
    data = bytearray(buffer.getvalue())
    place = data.index(b"\xff\xc2")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20000 20000\n%%EndComments\n{} loop\n%%EOF\n"
WMF = b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhH", 0, 0, 32000, 32000, 1) + bytes(6) + b"\x01\0\x09\0" + bytes(64)
HOSTILE = {
    "icon of a huge png.ico": lambda: ico(png(40_000, 40_000, zeros(60))),
    "icon of a huge bitmap.ico": lambda: ico(dib(40_000, 80_000)),
    "huge.png": lambda: png(40_000, 40_000, zeros(60)),
    "thin.png": lambda: png(1, 200_000, zeros(1)),
    "long.png": lambda: png(2_000_000, 1, zeros(8)),
    "texts.png": lambda: png(20_000, 20_000, b"", b"".join(chunk(b"zTXt", b"a\0\0" + zeros(60)) for _ in range(3))),
    "huge.tiff": lambda: tiff(60_000, 60_000),
    "huge tile.tiff": lambda: tiff(8, 8, 40_000),
    "frame beyond the screen.gif": lambda: gif(60_000, 60_000),
    "huge.webp": lambda: webp(16_000, 16_000),
    "progressive.jpg": lambda: jpeg(60_000, 60_000),
    "thin.jpg": lambda: jpeg(60_000, 16),
    "huge.ppm": lambda: b"P6 60000 60000 255\n" + bytes(64),
    "huge.bmp": lambda: b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + dib(30_000, 30_000),
    "huge.pcx": lambda: b"\x0a\x05\x01\x08" + struct.pack("<4H53xB", 0, 0, 65_000, 65_000, 1) + bytes(124),
    "huge.tga": lambda: bytes([0, 0, 2, *[0] * 9]) + struct.pack("<HHBB", 65_000, 65_000, 24, 0) + bytes(64),
    "script.png": lambda: EPS,
    "script.eps": lambda: EPS,
    "metafile.wmf": lambda: WMF,
}  # fmt: skip
