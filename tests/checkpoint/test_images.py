"""A run keeps the images and the splits that it began with, whatever happens to the folder, list or table."""

import io
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lptpp.checkpoint import digests as run_digests
from lptpp.checkpoint import images as run_images
from lptpp.checkpoint.digests import BackgroundDigests
from lptpp.checkpoint.images import record_images, run_dataset
from lptpp.checkpoint.record import DIGESTS, RECORD, STAMPS, read_record, record_digest
from lptpp.checkpoint.store import Checkpoint
from lptpp.config import DataSettings, Settings
from lptpp.data import content
from lptpp.data.dataset import ImageDataset
from lptpp.data.prepare import load_dataset
from lptpp.data.sources import cifar
from lptpp.utils.errors import UserError
from tests.drawn import pixels, png

CLASSES = {"elm": 10, "oak": 15}
Begin = Callable[..., tuple[Settings, Checkpoint, ImageDataset]]


def draw(root: Path) -> Path:
    """Write files of one size, so that only their content and their time differ."""
    for label, (name, count) in enumerate(CLASSES.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.png").write_bytes(padded(100 * label + number))
    return root


def padded(seed: int) -> bytes:
    return png(seed).ljust(300, b"\0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw(tmp_path / "trees")


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Record the data set of these settings, as the start of a run does, and return settings, checkpoint, data set."""

    def started(**data: Any) -> tuple[Settings, Checkpoint, ImageDataset]:
        settings = Settings(run=str(tmp_path / "run"), data=DataSettings(**data))
        collection = load_dataset(settings)
        record_images(settings, collection)
        with BackgroundDigests(tmp_path / "run" / "checkpoint", collection):
            pass
        root = tmp_path / "run" / "checkpoint"
        manifest = {"class_names": collection.class_names, "images": record_digest(root), "finished": True}
        return settings, Checkpoint(root / "step-1", manifest), collection

    return started


def assert_same(found: ImageDataset, expected: ImageDataset) -> None:
    """Compare every image by its content, in order."""
    assert found.class_names == expected.class_names
    assert found.splits().keys() == expected.splits().keys()
    for name, part in expected.splits().items():
        assert found.splits()[name].labels.tolist() == part.labels.tolist()
        pairs = zip(found.splits()[name].images, part.images, strict=True)
        assert all(content.digest(one) == content.digest(other) for one, other in pairs)


def add(root: Path) -> None:
    (root / "oak" / "001.png").write_bytes(padded(900))


def remove(root: Path) -> None:
    (root / "oak" / "3.png").unlink()


def rename(root: Path) -> None:
    (root / "oak" / "3.png").rename(root / "oak" / "z3.png")


def replace_content(root: Path) -> None:
    (root / "oak" / "3.png").write_bytes(padded(901))


def move_to_another_class(root: Path) -> None:
    (root / "oak" / "3.png").rename(root / "elm" / "30.png")


def everything(root: Path) -> None:
    add(root)
    replace_content(root)
    for number in range(5):
        (root / "elm" / f"{number}.png").unlink()


CHANGES = {
    add: "1 added: oak/001.png)",
    remove: "1 missing: oak/3.png)",
    rename: "1 added: oak/z3.png; 1 missing: oak/3.png)",
    replace_content: "1 changed: oak/3.png)",
    move_to_another_class: "1 added: elm/30.png; 1 missing: oak/3.png)",
    everything: "1 added: oak/001.png; 5 missing: elm/0.png, elm/1.png, elm/2.png and 2 more; 1 changed: oak/3.png)",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changed_in_a_folder_is_named(change, root, begin):
    settings, checkpoint, _ = begin(source="folder", root=str(root), validation=0.2)
    change(root)
    with pytest.raises(UserError) as caught:
        run_dataset(settings, checkpoint)
    assert str(caught.value).startswith(f"{settings.run} was trained on other images")
    assert CHANGES[change] in str(caught.value)
    assert f"lptpp evaluate {settings.run} --on FOLDER" in str(caught.value)


def divide(root: Path, test: set[Path]) -> None:
    """Move the images `test` to test/, all others to train/."""
    for path in list(root.glob("*/*.png")):
        to = root / ("test" if path in test else "train") / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
    for name in CLASSES:
        (root / name).rmdir()


def test_if_the_test_split_was_drawn_the_refusal_says_how_to_keep_its_images(root, begin):
    settings, checkpoint, drawn = begin(source="folder", root=str(root))
    add(root)
    of_evaluation, unfinished = str(refusal(settings, checkpoint)), {**checkpoint.manifest, "finished": False}
    assert "draws its test split anew" in of_evaluation and "not on the same images as before" in of_evaluation
    assert "(predictions.csv lists them), move them to a folder test/ next to train/" in of_evaluation
    of_resume = str(refusal(settings, replace(checkpoint, manifest=unfinished)))
    assert "draws its test split anew" in of_resume and "predictions.csv" not in of_resume
    assert others(drawn, load_dataset(settings))


def test_a_test_folder_keeps_the_test_images_when_others_are_added(root, begin):
    settings, _, drawn = begin(source="folder", root=str(root))
    divide(root, set(drawn.test.images))
    settings, checkpoint, divided = begin(source="folder", root=str(root))
    add(root / "train")
    assert "anew" not in str(refusal(settings, checkpoint))
    assert len(divided.test) == len(drawn.test) and not others(divided, load_dataset(settings))


def refusal(settings: Settings, checkpoint: Checkpoint) -> UserError:
    with pytest.raises(UserError, match="was trained on other images") as caught:
        run_dataset(settings, checkpoint)
    return caught.value


def others(before: ImageDataset, now: ImageDataset) -> set[str]:
    return set(map(str, before.test.images)) ^ set(map(str, now.test.images))


def test_an_image_left_out_by_the_long_tail_may_not_vanish_either_and_its_content_is_not_read(root, begin, monkeypatch):
    monkeypatch.setattr(run_images, "SHOWN", 99)
    settings, checkpoint, collection = begin(source="folder", root=str(root), factor=10.0)
    used = {str(image) for part in collection.splits().values() for image in part.images}
    (left, *_) = unused = sorted(str(path) for path in root.glob("*/*") if str(path) not in used)
    assert len(unused) > 3
    Path(left).write_bytes(b"other content")
    assert_same(run_dataset(settings, checkpoint), collection)
    Path(left).unlink()
    with pytest.raises(UserError, match=f"1 missing: {Path(left).relative_to(root)}"):
        run_dataset(settings, checkpoint)


def lines_of(root: Path) -> list[str]:
    return [
        f"{name}/{number}.png {label}" for label, (name, count) in enumerate(CLASSES.items()) for number in range(count)
    ]


def write_lists(root: Path, test: list[str], **lists: list[str]) -> None:
    for name, lines in {"test": test, **lists}.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_another_order_of_a_list_draws_nothing_anew(root, begin):
    (root / "train.txt").write_text("\n".join(lines_of(root)))
    settings, checkpoint, before = begin(source="list", root=str(root), train_list="train.txt", validation=0.2)
    (root / "train.txt").write_text("\n".join(reversed(lines_of(root))))
    drawn_again = load_dataset(settings)
    assert {str(image) for image in drawn_again.test.images} != {str(image) for image in before.test.images}
    assert_same(run_dataset(settings, checkpoint), before)


def test_another_label_and_another_split_in_the_lists_are_named(root, begin):
    lines = lines_of(root)
    write_lists(root, lines[::5], train=[line for i, line in enumerate(lines) if i % 5])
    settings, checkpoint, before = begin(source="list", root=str(root), train_list="train.txt", test_list="test.txt")
    assert_same(run_dataset(settings, checkpoint), before)
    write_lists(root, [*lines[::5], lines[1]], train=[line for i, line in enumerate(lines) if i % 5 and i != 1])
    with pytest.raises(UserError, match=r"\(1 changed: elm/1\.png \(now in test\)\)"):
        run_dataset(settings, checkpoint)
    write_lists(root, lines[::5], train=["elm/1.png 1", *(line for i, line in enumerate(lines) if i % 5 and i != 1)])
    with pytest.raises(UserError, match=r"\(1 changed: elm/1\.png \(now class 1\)\)"):
        run_dataset(settings, checkpoint)


def test_an_image_that_a_list_has_more_than_once_keeps_its_places(root, begin):
    lines = [*lines_of(root), "elm/1.png 0", "elm/1.png 1", "elm/2.png 0"]
    (root / "train.txt").write_text("\n".join(lines))
    settings, checkpoint, before = begin(source="list", root=str(root), train_list="train.txt", validation=0.3)
    assert_same(run_dataset(settings, checkpoint), before)
    (root / "train.txt").write_text("\n".join(lines[:-2]))
    with pytest.raises(UserError, match=r"\(2 missing: elm/1\.png, elm/2\.png\)"):
        run_dataset(settings, checkpoint)


def test_a_listed_file_that_is_gone_is_missing(root, begin):
    (root / "train.txt").write_text("\n".join(lines_of(root)))
    settings, checkpoint, _ = begin(source="list", root=str(root), train_list="train.txt")
    remove(root)
    with pytest.raises(UserError, match=r"\(1 missing: oak/3\.png\)"):
        run_dataset(settings, checkpoint)


def test_another_root_needs_the_same_images(root, begin, tmp_path, monkeypatch):
    settings, checkpoint, before = begin(source="folder", root=str(root), validation=0.2)
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)  # with the times of the originals
    settings.data.root = str(moved)
    assert_same(run_dataset(settings, checkpoint), before)
    monkeypatch.chdir(moved)
    settings.data.root = "."  # the same place by another name
    assert_same(run_dataset(settings, checkpoint), before)
    other = tmp_path / "other"
    shutil.copytree(root, other)
    times = (other / "oak" / "3.png").stat()
    replace_content(other)
    os.utime(other / "oak" / "3.png", ns=(times.st_atime_ns, times.st_mtime_ns))  # another file of equal size and time
    settings.data.root = str(other)
    with pytest.raises(UserError, match=r"\(1 changed: oak/3\.png\)"):
        run_dataset(settings, checkpoint)


def test_a_file_is_read_again_only_if_its_stamp_changed(root, begin, monkeypatch):
    settings, checkpoint, before = begin(source="folder", root=str(root))
    read = []
    digest = content.digest
    monkeypatch.setattr(content, "digest", lambda image: (read.append(image), digest(image))[1])
    run_dataset(settings, checkpoint)
    assert read == []
    os.utime(root / "oak" / "3.png")
    run_dataset(settings, checkpoint)
    assert read == [root / "oak" / "3.png"]
    run_dataset(settings, checkpoint)
    assert len(read) == 1
    (Path(settings.run) / "checkpoint" / STAMPS).unlink()
    found = run_dataset(settings, checkpoint)
    assert len(read) == 1 + 25
    monkeypatch.undo()
    assert_same(found, before)


class Arrays:
    """A download of torchvision: 30 training images of two classes, two of them equal, and 4 test images."""

    classes = ("a", "b")
    other = None  # a training image to replace

    def __init__(self, root: Path, train: bool, download: bool) -> None:
        seeds = [*range(29), 3] if train else list(range(50, 54))
        self.data = np.stack([pixels(777 if seed == self.other else seed) for seed in seeds])
        self.targets = [number % 2 for number in range(len(seeds))]


def test_arrays_are_known_by_their_content(begin, monkeypatch, tmp_path):
    monkeypatch.setattr(cifar, "CIFAR10", Arrays)
    settings, checkpoint, before = begin(source="cifar10_lt", root=str(tmp_path), factor=3.0, validation=0.2)
    assert len(before.train) < 29
    assert_same(run_dataset(settings, checkpoint), before)
    monkeypatch.setattr(Arrays, "other", 4)
    with pytest.raises(UserError, match=r"\(1 added: [0-9a-f]{32}; 1 missing: [0-9a-f]{32}\)"):
        run_dataset(settings, checkpoint)


def write_shard(path: Path, seeds: list[int]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, seed in enumerate(seeds):
            for kind, data in (("png", padded(seed)), ("cls", str(number % 2).encode())):
                info = tarfile.TarInfo(f"{number:03}.{kind}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_table(path: Path, seeds: list[int]) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"image": padded(seed), "label": "ab"[number % 2]} for number, seed in enumerate(seeds)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def write_saved(path: Path, seeds: list[int]) -> None:
    datasets = pytest.importorskip("datasets")
    shutil.rmtree(path, ignore_errors=True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {
        "image": [{"bytes": padded(seed), "path": None} for seed in seeds],
        "label": [i % 2 for i in range(len(seeds))],
    }
    datasets.Dataset.from_dict(rows, features).save_to_disk(str(path))


STORED: dict[str, tuple[Callable[[Path, list[int]], None], str, bool]] = {
    "webdataset": (write_shard, "a.tar", False),
    "parquet": (write_table, "a.parquet", True),
    "huggingface": (write_saved, "saved", False),
}  # writer, file, whether the images are read at every start


@pytest.mark.parametrize("source", STORED)
def test_images_inside_of_files(source, begin, tmp_path, monkeypatch):
    write, file, always = STORED[source]
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / file, list(range(12)))
    given = {"root": str(folder / file)} if source == "huggingface" else {"root": str(folder), "train_list": file}
    settings, checkpoint, before = begin(source=source, **given)
    read = []
    digest = content.digest
    monkeypatch.setattr(content, "digest", lambda image: (read.append(image), digest(image))[1])
    found = run_dataset(settings, checkpoint)
    assert len(read) == (12 if always else 0)
    assert_same(found, before)
    read.clear()
    write(folder / file, [*range(6), 99, *range(7, 12)])
    with pytest.raises(UserError, match=r"\(1 changed: [^,;]*6[^,;]*\)") as caught:
        run_dataset(settings, checkpoint)
    assert str(folder) not in str(caught.value)
    assert len(read) == 12
    monkeypatch.undo()
    write(folder / file, list(range(12)))
    shutil.copytree(folder, tmp_path / "moved")
    settings.data.root = settings.data.root.replace("data", "moved")
    assert_same(run_dataset(settings, checkpoint), before)


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes() + b"0")]
)
def test_a_record_that_is_missing_or_changed_is_an_error(damage, root, begin):
    settings, checkpoint, _ = begin(source="folder", root=str(root))
    damage(Path(settings.run) / "checkpoint" / RECORD)
    with pytest.raises(UserError, match=rf"{RECORD}, .* missing or changed"):
        run_dataset(settings, checkpoint)


def test_a_folder_without_a_record_says_so(root, tmp_path):
    with pytest.raises(UserError, match="does not record which images"):
        run_dataset(Settings(run=str(tmp_path), data=DataSettings(source="folder", root=str(root))))


def test_the_record_takes_42_bytes_an_image_and_its_name(root, begin):
    settings, _, _ = begin(source="folder", root=str(root))
    folder = Path(settings.run) / "checkpoint"
    sizes, headers = 0, 0
    for name in (RECORD, DIGESTS, STAMPS):
        data = (folder / name).read_bytes()
        sizes += len(data)
        headers += 8 + int.from_bytes(data[:8], "little")
    names = sum(len(f"{path.parent.name}/{path.name}") for path in root.glob("*/*"))
    assert sizes - headers == 25 * 42 + names


def test_digests_are_computed_while_a_run_trains_and_continue_after_a_stop(root, begin, monkeypatch):
    settings, checkpoint, collection = begin(source="folder", root=str(root))
    folder = Path(settings.run) / "checkpoint"
    expected = read_record(folder, checkpoint.manifest["images"]).digests
    (folder / DIGESTS).unlink()
    monkeypatch.setattr(run_digests, "FIRST", 3)
    read = []
    digest = content.digest
    blocked = threading.Event()

    def slow(image: Any) -> bytes:
        read.append(image)
        if len(read) == 5:
            blocked.wait(20)
        return digest(image)

    monkeypatch.setattr(run_digests, "digest", slow)
    with pytest.raises(KeyboardInterrupt), BackgroundDigests(folder, collection) as running:
        assert not read  # until training begins
        for _ in range(2):
            running.begin()
        while len(read) < 5:
            time.sleep(0.01)
        running._stopping.set()
        blocked.set()
        raise KeyboardInterrupt
    assert (read_record(folder, checkpoint.manifest["images"]).digests.any(1)).sum() == 5
    assert_same(run_dataset(settings, checkpoint), collection)  # by their stamps
    with BackgroundDigests(folder, collection) as running:
        running.begin()
        running._thread.join()
    assert len(read) == 25
    np.testing.assert_array_equal(read_record(folder, checkpoint.manifest["images"]).digests, expected)


def test_a_changed_image_that_was_not_read_yet_is_refused(root, begin):
    settings, checkpoint, _ = begin(source="folder", root=str(root))
    (Path(settings.run) / "checkpoint" / DIGESTS).write_bytes(b"damaged")
    replace_content(root)
    os.utime(root / "oak" / "3.png", ns=(1, 1))
    with pytest.raises(UserError, match=r"\(1 changed: oak/3\.png\)"):
        run_dataset(settings, checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {name: array for name, array in arrays.items() if name != "labels"},
        lambda arrays: arrays | {"more": arrays["labels"]},
        lambda arrays: arrays | {"labels": arrays["labels"][1:]},
        lambda arrays: arrays | {"labels": arrays["labels"].astype(np.float32)},
        lambda arrays: arrays | {"lengths": arrays["lengths"] + np.uint32(2**31)},
        lambda arrays: arrays | {"splits": arrays["splits"] + np.uint8(9)},
    ],
)
def test_a_record_that_does_not_fit_together_is_an_error_with_any_digest(change, root, begin):
    """A run folder may be from someone else, who knows how a checkpoint is sealed."""
    settings, _, _ = begin(source="folder", root=str(root))
    place = Path(settings.run) / "checkpoint"
    save_file(change(load_file(place / RECORD)), place / RECORD)
    with pytest.raises(UserError, match=f"{RECORD} does not list images"):
        read_record(place, record_digest(place))
