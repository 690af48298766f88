"""Files that are no text, whatever their suffix: images and other binary files."""

from pathlib import Path

IMAGES = {
    b"\x89PNG\r\n": "an image (PNG)",
    b"\xff\xd8\xff": "an image (JPEG)",
    b"GIF87a": "an image (GIF)",
    b"GIF89a": "an image (GIF)",
    b"II*\0": "an image (TIFF)",
    b"MM\0*": "an image (TIFF)",
}  # by the first bytes
UTF16 = b"\xff\xfe", b"\xfe\xff"  # text with NUL bytes
BEGINNING = 1024  # bytes that are examined


def binary_kind(path: Path) -> str | None:
    """Return what a file is that is no text, judged by its beginning; None for text, UTF-16 included."""
    with path.open("rb") as file:
        start = file.read(BEGINNING)
    if start.startswith(UTF16):
        return None
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "an image (WebP)"
    kind = next((kind for bytes_, kind in IMAGES.items() if start.startswith(bytes_)), None)
    return kind or ("a binary file (it contains NUL bytes)" if b"\0" in start else None)
