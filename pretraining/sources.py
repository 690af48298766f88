"""What the towers learn from: Tiny-ImageNet at 48 px, one sharp photo for each ImageNet class, emoji of three vendors.

Every source yields encoded pictures with labels: the place of the class among the 1,000 of ImageNet-1k, or the place
of an emoji in the list of all.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from lptpp.data.dataset import Encoded
from lptpp.data.decode import decode
from pretraining.names import IMAGENET
from pretraining.pack import Labeled, encode

VENDORS = ("google", "apple", "facebook")  # never Twitter's: Twemoji is what the demo measures on
HELD_OUT = 5  # one photo of five is for measuring
PHOTO_SIDE = 256  # pixels of a packed photo


def tiny_imagenet(archives: list[Path], part: str = "train") -> Iterator[Labeled]:
    """Yield the pictures below `train/` or `val/` of archives, whose `classes.json` names a synset for each folder."""
    for archive in archives:
        with ZipFile(archive) as opened:
            synsets = [IMAGENET.index(entry["wnid"]) for entry in json.loads(opened.read("classes.json"))]
            for name in sorted(opened.namelist()):
                if name.startswith(f"{part}/") and name.endswith(".webp"):
                    yield opened.read(name), synsets[int(PurePosixPath(name).parent.name)]


def photos(archive: Path, held_out: bool) -> Iterator[Labeled]:
    """Yield the photos named after their synsets, either the held-out fifth or the others, squashed to a square."""
    with ZipFile(archive) as opened:
        for place, name in enumerate(sorted(opened.namelist())):
            if (place % HELD_OUT == 0) == held_out:
                picture = decode(Encoded(opened.read(name), name)).resize((PHOTO_SIDE, PHOTO_SIDE))
                yield encode(picture), IMAGENET.index(PurePosixPath(name).stem)


def emoji(packages: list[Path]) -> Iterator[Labeled]:
    """Yield the pictures of the unpacked npm packages `emoji-datasource-VENDOR`, without skin tones."""
    for package in packages:
        vendor = package.name.removeprefix("emoji-datasource-")
        if vendor not in VENDORS:
            raise ValueError(f"{package}: expected emoji-datasource-google, -apple or -facebook.")
        for place, entry in enumerate(emoji_entries(package)):
            path = package / "package" / "img" / vendor / "64" / entry["image"]
            if path.is_file():
                yield encode(decode(path)), place


def emoji_entries(package: Path) -> list[dict[str, str]]:
    """Return the list of all emoji, in one order whatever the vendor."""
    entries = json.loads((package / "package" / "emoji.json").read_text(encoding="utf-8"))
    return sorted(entries, key=lambda entry: entry["unified"])
