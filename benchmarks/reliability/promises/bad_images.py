"""Unreadable images are all named by `lptpp data`, and none of the readable ones."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image

from benchmarks.reliability.forks import command, ended
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World

FORMATS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tiff": "TIFF"}
OTHERS = (b"", b"\0" * 500, b"<html><body>404 Not Found</body></html>", b"%PDF-1.4 hello", b"PK\3\4" + bytes(60))


def bad_images(folder: Path, count: int) -> list[str]:
    """Write `count` files that are no images any more, and return their names: cut, overwritten, of another kind."""
    names, formats = [], list(FORMATS)
    for number in range(count):
        draw, suffix = Random(number), formats[number % len(formats)]
        names.append(f"bad {number}.{suffix}")
        content = _encoded(FORMATS[suffix], draw)
        if number % 3 == 0:
            content = content[: draw.randrange(1, len(content) // 2)]
        elif number % 3 == 1:
            content = draw.randbytes(16) + content[16:]
        else:
            content = OTHERS[number // 3 % len(OTHERS)]
        (folder / names[-1]).write_bytes(content)
    return names


def _encoded(form: str, draw: Random) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (40, 40), draw.randbytes(4800)).save(file, form)
    return file.getvalue()


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Put all of them among the good ones of a class."""
    folder = world.scratch("bad")
    pictures = Path(shutil.copytree(world.pictures, folder / "pictures"))
    names = bad_images(pictures / "train" / "apple", count)
    report = folder / "report"
    os.environ["COLUMNS"] = "400"
    done = ended(command("data", pictures, "--output", report), folder)
    text = done.output + "".join(path.read_text() for path in report.glob("*.csv"))
    for name in names:
        yield Verdict(name, None if name in text and done.status == 1 else f"not named, status {done.status}: {text}")
    good = [path.name for path in world.pictures.rglob("*.png") if f"apple/{path.name}:" in text]
    yield Verdict("readable ones", f"named as unreadable: {good}" if good else None)


PROMISE = Promise("unreadable images: all are named, readable ones are not", verdicts, 40, 12, once=3.0)
