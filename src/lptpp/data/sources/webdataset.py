"""WebDataset: tar shards in which the files of one sample share their name up to the first dot (1.jpg, 1.cls).

The library webdataset reads shards as a stream. Samplers and exact resume need random access instead: the library
expands the patterns and splits the file names, the tar headers of each shard are read once for the offsets, and an
image is read from its shard when it is needed.
"""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.labeled_images import LabeledImages, build_dataset, concatenate
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.walk import SUFFIXES
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.extras import extra
from lptpp.utils.paths import matching_files, refuse_special, resolve_path
from lptpp.utils.progress import progress_bar

IMAGES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
LABELS = ("cls", "txt", "json")
LARGEST_LABEL = 1_000_000  # bytes
PICKLES = {"pyd", "pickle", "pkl", "pth", "pt"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar shard, by its offset."""

    shard: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """Return the bytes of the file."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    @property
    def stamp(self) -> tuple[int, int]:
        """Return the size of the file and the time of the last change of its shard (see `lptpp.data.content`)."""
        return self.size, self.shard.stat().st_mtime_ns

    def __str__(self) -> str:
        return f"{self.shard}:{self.name}"


SampleFiles = dict[str, Member]  # the files of one sample by the part of their names after the first dot


def webdataset(
    root: str,
    train_list: str,
    validation_list: str | None,
    test_list: str | None,
    image_column: str | None,
    label_column: str | None,
    class_names: str | None,
    test: float,
    split_seed: int,
) -> ImageDataset:
    """Return the samples of tar shards below `root`.

    Each list is a shard, a pattern of shards (train-{000..012}.tar, train-*.tar), or several separated by ::.
    `image_column` and `label_column` name the members to use if the defaults (jpg, png, …; cls, txt, or the key label
    of json) are ambiguous; `label_column` may also be a key of the json member. Without `test_list` the share `test` of
    every class is the test split.

    Raises:
        UserError: a shard is missing, compressed or damaged, or a sample lacks its image or its label.
    """
    folder = Path(root).expanduser()
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    shards = {split: expand_shards(name, folder) for split, name in lists.items() if name is not None}
    rows: dict[str, list[LabeledImages]] = {split: [] for split in shards}
    with progress_bar("Reading shard headers", sum(map(len, shards.values()))) as bar:
        for split, files in shards.items():
            for file in files:
                rows[split].append(_read(file, image_column, label_column))
                bar.advance()
    names = None if class_names is None else read_names(resolve_path(class_names, folder))
    return build_dataset({split: concatenate(several) for split, several in rows.items()}, names, test, split_seed)


def expand_shards(patterns: str, root: Path) -> list[Path]:
    """Return the shards that patterns match, in order; raises UserError for a pattern without a match."""
    shardlists = extra("webdataset.shardlists", "webdataset", "data.source=webdataset")
    try:
        names = shardlists.expand_urls(patterns)
    except (AssertionError, ValueError) as error:
        raise UserError(
            f"{patterns} is not a valid shard pattern ({error}): expected for example a-{{000..012}}.tar."
        ) from None
    return [file for name in names for file in matching_files(name, root)]


def read_samples(shard: Path) -> dict[str, SampleFiles]:
    """Return the samples of a shard by name, without folders, links and hidden files.

    Raises:
        UserError: the shard is compressed or damaged, or has two members of one name.
    """
    split_name = extra("webdataset.tariterators", "webdataset", "data.source=webdataset").base_plus_ext
    found: dict[str, SampleFiles] = {}
    for info in _members(shard):
        key, kind = split_name(info.name)
        if key is None or not info.isreg() or PurePosixPath(info.name).name.startswith("."):
            continue
        sample = found.setdefault(key, {})
        if kind.lower() in sample:
            raise UserError(
                f"{shard} contains {info.name} twice: names must be unique up to the first dot for each sample."
            )
        sample[kind.lower()] = Member(shard, info.name, info.offset_data, info.size)
    return found


def _members(shard: Path) -> list[tarfile.TarInfo]:
    refuse_special(shard)
    try:
        with tarfile.open(shard, "r:") as tar:  # "r:" accepts no compression, which would rule out offsets
            return tar.getmembers()
    except (tarfile.TarError, EOFError) as error:
        raise UserError(
            f"{shard} is not an uncompressed tar file ({error}): decompress a .tar.gz with gunzip, or replace it."
        ) from error


def _read(shard: Path, image_column: str | None, label_column: str | None) -> LabeledImages:
    found = read_samples(shard)
    if not found:
        raise UserError(f"{shard} contains no sample: expected files such as 0001.jpg and 0001.cls.")
    images = [_image(sample, f"{shard}:{key}", image_column) for key, sample in found.items()]
    labels = [_label(sample, f"{shard}:{key}", label_column) for key, sample in found.items()]
    return LabeledImages(list(images), labels, [str(image) for image in images])


def _described(sample: SampleFiles) -> str:
    return f"{'the members' if len(sample) > 1 else 'only the member'} {', '.join(sample)}"


def _image(sample: SampleFiles, place: str, column: str | None) -> Member:
    found = [sample[kind] for kind in sample if kind == column.lower()] if column else _of_kind(sample, IMAGES)
    if len(found) != 1:
        wanted = column or "jpg, png, webp or other image"
        raise UserError(
            f"{place} has {_described(sample)}, expected one {wanted}: set data.image_column to the member"
            " to use; the name of a sample ends at the first dot."
        )
    return found[0]


def _label(sample: SampleFiles, place: str, column: str | None) -> Any:
    if column and column.lower() in sample:
        return _content(sample[column.lower()], "label")
    for kind in ("json",) if column else LABELS:
        found = _of_kind(sample, (kind,))
        if len(found) == 1:
            return _content(found[0], column or "label")
    pickled = [kind for kind in sample if _suffix(kind) in PICKLES]
    refused = f"; {', '.join(pickled)} is not read because unpickling can execute code" if pickled else ""
    raise UserError(
        f"{place} has {_described(sample)}, expected a label as {column or 'cls, txt or json'}{refused}: set"
        " data.label_column to the member or the json key to use."
    )


def _of_kind(sample: SampleFiles, kinds: Sequence[str]) -> list[Member]:
    """Return the members of these kinds, or else those ending in one of them, as left.png ends in png."""
    exact = [member for kind, member in sample.items() if kind in kinds]
    return exact or [member for kind, member in sample.items() if _suffix(kind) in kinds]


def _suffix(kind: str) -> str:
    return kind.rsplit(".", 1)[-1]


def _content(member: Member, key: str) -> Any:
    """Return the label in a member: a number, a text, or the value of `key` in a JSON object."""
    kind = _suffix(member.name.lower())
    if kind in PICKLES:
        raise UserError(
            f"{member} is a pickle, not read because unpickling can execute code: write labels as cls or txt."
        )
    if member.size > LARGEST_LABEL:
        raise UserError(f"{member} has {member.size:,} bytes, too many for a label: set data.label_column.")
    try:
        text = member.read_bytes().decode("utf-8-sig").strip()
        content = json.loads(text) if kind == "json" else text
    except (ValueError, RecursionError) as error:
        raise UserError(f"{member} cannot be read as a label ({error}): expected a number, a name, or JSON.") from None
    if isinstance(content, dict):
        if key not in content:
            raise UserError(f"{member} has no key {key!r}: {did_you_mean(key, content)} Set data.label_column.")
        return content[key]
    return int(content) if kind == "cls" and content.isdecimal() else content
