"""WebDataset: tar shards in which the files of one sample share their name up to the first dot (1.jpg, 1.cls).

The library webdataset reads shards as one stream. Here samplers choose picture by picture and a run may go on at any
step, which takes every picture by its place: so the library expands the patterns and divides the names, one pass over
the headers of each shard notes where the members lie, and a picture is read from its shard when it is wanted.
"""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lptpp.data.dataset import Collection
from lptpp.data.sources.files import located, matching
from lptpp.data.sources.folder import SUFFIXES
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.rows import Rows, assembled, joined
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.extras import extra
from lptpp.utils.progress import progress_bar

IMAGES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
LABELS = ("cls", "txt", "json")
PICKLES = {"pyd", "pickle", "pkl", "pth", "pt"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar shard: where its bytes lie."""

    shard: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """Return the bytes of the file."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.shard}:{self.name}"


Sample = dict[str, Member]  # the files of one sample by what follows the first dot of their names


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
) -> Collection:
    """Return the samples of tar shards below `root`.

    Each list is a shard, a pattern of shards (train-{000..012}.tar, train-*.tar), or several with :: between them.
    `image_column` and `label_column` name members of the samples where the usual ones (jpg, png, …; cls, txt, then the
    key label of json) do not say enough; `label_column` may also be a key of the json member. Without `test_list` the
    share `test` of every class becomes the test part.

    Raises:
        UserError: a shard is missing, compressed or damaged; a sample lacks its picture or its label.
    """
    folder = Path(root).expanduser()
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    shards = {part: expanded(name, folder) for part, name in lists.items() if name is not None}
    parts: dict[str, list[Rows]] = {part: [] for part in shards}
    with progress_bar("Reading what the shards hold", sum(map(len, shards.values()))) as bar:
        for part, files in shards.items():
            for file in files:
                parts[part].append(_rows(file, image_column, label_column))
                bar.advance()
    names = None if class_names is None else read_names(located(class_names, folder))
    return assembled({part: joined(several) for part, several in parts.items()}, names, test, split_seed)


def expanded(patterns: str, root: Path) -> list[Path]:
    """Return the shards that patterns mean, in their order; raises UserError where one means none."""
    shardlists = extra("webdataset.shardlists", "webdataset", "data.source=webdataset")
    try:
        names = shardlists.expand_urls(patterns)
    except (AssertionError, ValueError) as error:
        raise UserError(f"{patterns} is no pattern of shards ({error}): write such as a-{{000..012}}.tar.") from None
    return [file for name in names for file in matching(name, root)]


def samples(shard: Path) -> dict[str, Sample]:
    """Return the samples of a shard by name; folders, links and hidden files are passed over.

    Raises:
        UserError: the shard is compressed or damaged, or holds a file twice.
    """
    divide = extra("webdataset.tariterators", "webdataset", "data.source=webdataset").base_plus_ext
    found: dict[str, Sample] = {}
    for info in _members(shard):
        key, kind = divide(info.name)
        if key is None or not info.isreg() or PurePosixPath(info.name).name.startswith("."):
            continue
        sample = found.setdefault(key, {})
        if kind.lower() in sample:
            raise UserError(f"{shard} holds {info.name} twice: give each sample a name of its own up to the first dot.")
        sample[kind.lower()] = Member(shard, info.name, info.offset_data, info.size)
    return found


def _members(shard: Path) -> list[tarfile.TarInfo]:
    try:
        with tarfile.open(shard, "r:") as tar:  # "r:" takes no compression, under which nothing has a place
            return tar.getmembers()
    except (tarfile.TarError, EOFError) as error:
        raise UserError(
            f"{shard} is not an uncompressed tar file ({error}): unpack a .tar.gz with gunzip, or fetch it again."
        ) from error


def _rows(shard: Path, image_column: str | None, label_column: str | None) -> Rows:
    found = samples(shard)
    if not found:
        raise UserError(f"{shard} holds no sample: expected files such as 0001.jpg and 0001.cls.")
    pictures = [_picture(sample, f"{shard}:{key}", image_column) for key, sample in found.items()]
    labels = [_label(sample, f"{shard}:{key}", label_column) for key, sample in found.items()]
    return Rows(list(pictures), labels, [str(picture) for picture in pictures])


def _picture(sample: Sample, place: str, column: str | None) -> Member:
    found = [sample[kind] for kind in sample if kind == column.lower()] if column else _ending(sample, IMAGES)
    if len(found) != 1:
        wanted = column or "jpg, png, webp or another picture"
        raise UserError(
            f"{place} holds {', '.join(sample)}, expected one {wanted}: a sample's name ends at the first dot;"
            " data.image_column says which member to take."
        )
    return found[0]


def _label(sample: Sample, place: str, column: str | None) -> Any:
    if column and column.lower() in sample:
        return _content(sample[column.lower()], "label")
    for kind in ("json",) if column else LABELS:
        found = _ending(sample, (kind,))
        if len(found) == 1:
            return _content(found[0], column or "label")
    pickled = [kind for kind in sample if _last(kind) in PICKLES]
    why = f"; {', '.join(pickled)} is not read, for a pickle can run code" if pickled else ""
    raise UserError(
        f"{place} holds {', '.join(sample)}, expected a label as {column or 'cls, txt or json'}{why}: write one, or say"
        " by data.label_column which member, or which key of json, to take."
    )


def _ending(sample: Sample, kinds: Sequence[str]) -> list[Member]:
    """Return the members of these kinds; where there is none, those whose kind ends so, as left.png ends in png."""
    exact = [member for kind, member in sample.items() if kind in kinds]
    return exact or [member for kind, member in sample.items() if _last(kind) in kinds]


def _last(kind: str) -> str:
    return kind.rsplit(".", 1)[-1]


def _content(member: Member, key: str) -> Any:
    """Return what the member of a label says: a number, a text, or in JSON what the key holds."""
    kind = _last(member.name.lower())
    if kind in PICKLES:
        raise UserError(f"{member} is a pickle, which is not read, for it can run code: write labels as cls or txt.")
    try:
        text = member.read_bytes().decode("utf-8-sig").strip()
        content = json.loads(text) if kind == "json" else text
    except ValueError as error:
        raise UserError(f"{member} cannot be read as a label ({error}): expected a number, a name, or JSON.") from None
    if isinstance(content, dict):
        if key not in content:
            raise UserError(f"{member} has no key {key!r}: {did_you_mean(key, content)} Set data.label_column.")
        return content[key]
    return int(content) if kind == "cls" and content.isdecimal() else content
