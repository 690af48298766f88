"""Every error message about data, in one file: tests/golden/data_errors.txt."""

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from PIL import Image

from lptpp.config import EvaluationSettings, Settings
from lptpp.data.cache import ImageCache
from lptpp.data.check import check_images
from lptpp.data.dataset import ImageDataset, MissingImage, Split
from lptpp.data.decode import Decoding, try_decode
from lptpp.data.prepare import check_dataset
from lptpp.data.sources import read_source
from lptpp.data.sources.labels import clean_label, infer_class_names
from lptpp.utils.errors import UserError
from tests import golden

DEFAULTS = {"test": 0.2, "split_seed": 0, "memory_gb": 1.0, "profile": "exponential"}
Case = tuple[str, Callable[[], object]]


def message(case: Callable[[], object]) -> str:
    """Return the message of an error, without what depends on the version of pyarrow."""
    with pytest.raises(UserError) as error:
        case()
    return re.sub(r"\(Parquet .*\)", "(…)", str(error.value))


def source(name: str, **arguments: object) -> Callable[[], object]:
    return lambda: read_source(name, 0.0, **DEFAULTS | arguments)


def write(path: Path, content: str | bytes = b"") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def folders(root: Path, *names: str) -> str:
    for name in names:
        write(root / name)
    return str(root)


def settings_and_folders(root: Path) -> Iterator[Case]:
    yield "unknown source", source("foldr")
    yield "missing root", source("folder")
    yield "missing list", source("csv")
    yield "test share", source("folder", root=folders(root / "good", "a/1.png", "b/2.png"), test=1.5)
    yield "factor", source("folder", root=str(root / "good"), factor=0.5)
    yield "profile", source("folder", root=str(root / "good"), factor=2.0, profile="stepp")
    yield "no folder", source("folder", root=str(root / "none"))
    yield "no class folders", source("folder", root=folders(root / "f1", "1.png"))
    yield "one class folder", source("folder", root=folders(root / "f2", "a/1.png"))
    yield "empty class folder", source("folder", root=folders(root / "f3", "a/1.png", "b/notes.txt"))
    yield "ambiguous class folders", source("folder", root=folders(root / "f4", "Oak/1.png", "oak/2.png"))
    yield "no train folder", source("folder", root=folders(root / "f5", "test/a/1.png"))
    yield "two folders of a split", source("folder", root=folders(root / "f6", "train/a/1", "val/a/1", "valid/a/1"))
    yield "inat2018 without a list", source("inat2018", root=str(root / "good"))
    listing = {"images": [{"id": 9, "file_name": "c.jpg"}], "annotations": [], "categories": []}
    lists = {"train_list": write(root / "train.json", json.dumps(listing)), "test_list": write(root / "bad.json", "{")}
    yield "invalid JSON", source("inat2018", root=str(root), **lists)
    lists["test_list"] = lists["train_list"]
    yield "inat2018 without an annotation", source("inat2018", root=str(root), **lists)
    listing["annotations"] = [{"image_id": 9, "category_id": 77}]
    write(root / "train.json", json.dumps(listing))
    yield "inat2018 with an unknown category", source("inat2018", root=str(root), **lists)
    write(root / "train.json", "[]")
    yield "inat2018 without a field", source("inat2018", root=str(root), **lists)
    yield "neither a folder nor a name", source("huggingface", root="/nowhere/trees")


def lists_and_tables(root: Path) -> Iterator[Case]:
    def image_list(content: str, **arguments: object) -> Callable[[], object]:
        return source("list", root=str(root), train_list=write(root / "train.txt", content), **arguments)

    def csv(content: str, **arguments: object) -> Callable[[], object]:
        return source("csv", root=str(root), train_list=write(root / "table.csv", content), **arguments)

    folders(root, "1.png", "2.png")
    yield "no list", source("list", root=str(root), train_list="train.text")
    yield "empty list", image_list("# nothing\n")
    yield "list line", image_list("1.png oak\n")
    names = write(root / "names.txt", "oak\nelm\n")
    yield "list label", image_list("1.png 2\n", class_names=names)
    yield "no listed image", image_list("7.png 0\n8.png 1\n")
    yield "duplicate name", image_list("1.png 0\n", class_names=write(root / "twice.txt", "oak\noak\n"))
    yield "empty name", image_list("1.png 0\n", class_names=write(root / "empty.txt", "oak\n\nelm\n"))
    yield "encoding", image_list("1.png 0\n", class_names=write(root / "utf16.txt", b"\xff\xfe\x00"))
    yield "no table", source("csv", root=str(root), train_list="tabel.csv")
    yield "no rows", csv("image,label\n")
    yield "column typo", csv("image,species\n1.png,oak\n", label_column="specie")
    yield "no column", csv("image,species\n1.png,oak\n")
    yield "several columns", csv("image,label,class\n1.png,oak,oak\n")
    yield "two columns of one name", csv("image,label,label\n1.png,oak,oak\n", label_column="label")
    yield "fields", csv("image,label\n1.png,oak,red\n")
    yield "quotes", csv('image,label\n1.png,"oak\n')
    yield "no label", csv("image,label\n1.png,oak\n2.png,\n")
    yield "label without a name", csv("image,label\n1.png,oaks\n", class_names=names)
    yield "split value", csv("image,label,split\n1.png,oak,dev\n")
    yield "no training split", csv("image,label,split\n1.png,oak,test\n")
    yield "two tables and a split column", csv("image,label\n", test_list="table.csv", split_column="label")
    yield "no parquet", source("parquet", train_list=write(root / "table.parquet", "text"))
    yield "label kind", lambda: clean_label(2.5, "a.parquet row 7")
    yield "label spelling", lambda: infer_class_names(["Oak", "oak"])


def shards(root: Path) -> Iterator[Case]:
    def tar(**members: bytes) -> Callable[[], object]:
        with tarfile.open(root / "a.tar", "w") as archive:
            for name, content in members.items():
                path = Path(write(root / "members" / name.replace("_", "."), content))
                archive.add(path, path.name)
        return source("webdataset", root=str(root), train_list="a.tar")

    yield "no shard", source("webdataset", root=str(root), train_list="b.tar")
    yield "no samples", tar()
    yield "no image", tar(a_cls=b"0")
    yield "no shard label", tar(a_png=b"")
    yield "pickled label", tar(a_png=b"", a_pyd=b"")
    yield "duplicate member", tar(a_png=b"", a_PNG=b"")
    yield "label member", tar(a_png=b"", a_json=b"{")
    yield "label key", tar(a_png=b"", a_json=b'{"lable": 1}')
    write(root / "a.tar", b"text")
    yield "no tar", source("webdataset", root=str(root), train_list="a.tar")


def images(root: Path) -> Iterator[Case]:
    broken = [Path(write(root / "broken.png", b"no")), Path(write(root / "empty.png")), root / "gone.png"]
    splits = {"train": Split([*broken, MissingImage("table.csv line 9")], np.array([0, 1, 0, 1]))}
    good = Split([np.zeros((2, 2, 3), np.uint8)] * 2, np.array([0, 1]))
    dataset = ImageDataset(["a", "b"], good, None, None)
    yield "unreadable images", lambda: check_images(splits)
    yield "no readable image", lambda: check_images(splits, "skip")
    yield "image deleted during a run", lambda: ImageCache(splits["train"], 0).load(2)
    yield "no test split", lambda: check_dataset(dataset, Settings(run=str(root)), root / "skipped.csv")
    each_epoch = Settings(run=str(root), evaluation=EvaluationSettings(each_epoch=True))
    yield "no validation split", lambda: check_dataset(replace(dataset, test=good), each_epoch, root / "skipped.csv")
    yield "one class", lambda: replace(dataset, class_names=["a"])
    yield "empty class name", lambda: replace(dataset, class_names=["a", " "])
    yield "duplicate class name", lambda: replace(dataset, class_names=["a", "a"])
    yield "label out of range", lambda: replace(dataset, test=Split(list(broken[:1]), np.array([5])))
    yield "no training image", lambda: replace(dataset, train=good.subset(np.array([], np.int64)))


@pytest.mark.parametrize("cases", [settings_and_folders, lists_and_tables, shards, images], ids=lambda f: f.__name__)
def test_error_messages(cases: Callable[[Path], Iterator[Case]], tmp_path: Path) -> None:
    messages = [(name, message(case)) for name, case in cases(tmp_path)]
    assert len({text for _, text in messages}) == len(messages)
    lines = [f"{name}:\n" + indent(text.replace(str(tmp_path), "DIR"), "  ") for name, text in messages]
    golden.check(f"data_errors_{cases.__name__}", "\n".join([*lines, ""]))


def test_reasons_of_unreadable_images(tmp_path: Path) -> None:
    Image.new("L", (1000, 600)).save(tmp_path / "large.png")
    references = [tmp_path / "large.png", tmp_path / "gone.png", Path(write(tmp_path / "empty.png"))]
    references.append(Path(write(tmp_path / "text.png", "text")))
    limit = Decoding(largest_megapixels=0.5)
    reasons = [try_decode(one, limit) for one in [*references, MissingImage("row 1"), np.zeros((2, 2))]]
    golden.check("data_errors_reasons", "".join(f"{reason}\n" for reason in reasons))
