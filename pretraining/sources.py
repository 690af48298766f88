"""Training images: Tiny-ImageNet at 48 px, one sharp photo per ImageNet class, and emoji of three vendors.

Every source yields encoded images with labels: the index of the class among the 1,000 of ImageNet-1k, or of the
emoji in the list of all emoji.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from lptpp.data.dataset import EncodedImage
from lptpp.data.decode import decode
from pretraining.names import IMAGENET
from pretraining.pack import Labeled, encode

VENDORS = ("google", "apple", "facebook")  # without Twitter: Twemoji is the test data of the demo
HELD_OUT = 5  # every fifth photo is held out for evaluation
PHOTO_SIDE = 256  # pixels of a packed photo


def tiny_imagenet(archives: list[Path], part: str = "train") -> Iterator[Labeled]:
    """Yield the images below `train/` or `val/` of archives whose `classes.json` has the synset of each folder."""
    for archive in archives:
        with ZipFile(archive) as opened:
            synsets = [IMAGENET.index(entry["wnid"]) for entry in json.loads(opened.read("classes.json"))]
            for name in sorted(opened.namelist()):
                if name.startswith(f"{part}/") and name.endswith(".webp"):
                    yield opened.read(name), synsets[int(PurePosixPath(name).parent.name)]


def photos(archive: Path, held_out: bool) -> Iterator[Labeled]:
    """Yield the photos, named after their synsets and squashed to squares: the held-out fifth or the others."""
    with ZipFile(archive) as opened:
        for place, name in enumerate(sorted(opened.namelist())):
            if (place % HELD_OUT == 0) == held_out:
                picture = decode(EncodedImage(opened.read(name), name)).resize((PHOTO_SIDE, PHOTO_SIDE))
                yield encode(picture), IMAGENET.index(PurePosixPath(name).stem)


def emoji(packages: list[Path]) -> Iterator[Labeled]:
    """Yield the images of the unpacked npm packages `emoji-datasource-VENDOR`, without skin tones."""
    for package in packages:
        vendor = package.name.removeprefix("emoji-datasource-")
        if vendor not in VENDORS:
            raise ValueError(f"{package}: expected emoji-datasource-google, -apple or -facebook.")
        for place, entry in enumerate(emoji_entries(package)):
            path = package / "package" / "img" / vendor / "64" / entry["image"]
            if path.is_file():
                yield encode(decode(path)), place


def emoji_entries(package: Path) -> list[dict[str, str]]:
    """Return the list of all emoji, in the same order for every vendor."""
    entries = json.loads((package / "package" / "emoji.json").read_text(encoding="utf-8"))
    return sorted(entries, key=lambda entry: entry["unified"])
