"""Runs every command of the pages about data on tiny data, with the shipped settings made small."""

import csv
import io
import json
import re
import shlex
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from lptpp import cli
from lptpp.config import resolve
from lptpp.data.sources import SOURCES
from tests.presets import quick_presets
from tests.towers import experts_on

pytestmark = pytest.mark.usefixtures("no_sections")
ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "data").glob("*.md"))
TREES = {"red oak": 6, "elm": 4, "ash": 3}  # images per class
PARTS = {"train": TREES, "test": dict.fromkeys(TREES, 1)}
SMALL = {
    "shared_prompts": 1, "group_prompts": 1, "num_groups": 2, "top_k": 1, "group_blocks": 1, "adapter_width": 1,
}  # fmt: skip
TINY = {
    "method": "lpt",
    "workers": 0,
    "precision": "float32",
    "phase1": {"epochs": 1},
    "phase2": {"epochs": 1},
    "evaluation": {"baselines": []},
}


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def draw(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(seed))
    return str(path)


def trees(counts: dict[str, int], seed: int) -> list[tuple[int, str]]:
    """Return a seed and a class for each image."""
    names = [name for name, count in counts.items() for _ in range(count)]
    return [(100 * seed + i, name) for i, name in enumerate(names)]


def divided(folder: Path) -> None:
    for number, (part, counts) in enumerate(PARTS.items()):
        for seed, name in trees(counts, number):
            draw(folder / part / name / f"{seed}.png", seed)


def folders(here: Path) -> None:
    for seed, name in trees(TREES, 0):
        draw(here / "my_images" / name / f"{seed}.png", seed)
    divided(here / "my_split_images")


def lists(here: Path) -> None:
    (here / "my_images").mkdir()
    for number, (part, counts) in enumerate(PARTS.items()):
        rows = [
            (f"oaks/with a space {seed}.jpg", list(TREES).index(name), seed) for seed, name in trees(counts, number)
        ]
        for path, _, seed in rows:
            draw(here / "my_images" / path, seed)
        (here / "my_images" / f"{part}.txt").write_text("".join(f"{path} {label}\n" for path, label, _ in rows))
    (here / "names.txt").write_text("\n".join(TREES))


def tables(here: Path) -> None:
    rows = [(seed, name, part) for i, (part, counts) in enumerate(PARTS.items()) for seed, name in trees(counts, i)]
    with (here / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "species", "split"])
        for seed, name, part in rows:
            draw(here / "trees" / f"{seed}.jpg", seed)
            writer.writerow([f"trees/{seed}.jpg", name, part])
    columns = {"image": [png(seed) for seed, _, _ in rows], "label": [name for _, name, _ in rows]}
    pyarrow.parquet.write_table(pyarrow.table(columns), here / "table.parquet")


def hugging_face(here: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(TREES))})
    parts = {}
    for number, (part, counts) in enumerate(PARTS.items()):
        content = {
            "image": [{"bytes": png(seed), "path": None} for seed, _ in trees(counts, number)],
            "label": [name for _, name in trees(counts, number)],
        }
        parts[part] = datasets.Dataset.from_dict(content, features)
    unlabeled = parts["test"].map(lambda row: {"label": -1})
    datasets.DatasetDict(parts).save_to_disk(here / "saved_dataset")
    splits = {"train": parts["train"], "validation": parts["test"], "test": unlabeled}
    datasets.DatasetDict(splits).save_to_disk(here / "saved_splits")
    (here / "parquet_files").mkdir()
    parts["train"].to_parquet(here / "parquet_files" / "train-00000-of-00001.parquet")


def tar_shards(here: Path) -> None:
    (here / "shards").mkdir()
    for shard, seed in {"train-000": 0, "train-001": 1, "test-000": 2}.items():
        with tarfile.open(here / "shards" / f"{shard}.tar", "w") as archive:
            for number, name in trees(TREES, seed):
                for kind, content in (("jpg", png(number)), ("cls", b"%d" % list(TREES).index(name))):
                    info = tarfile.TarInfo(f"{number:04d}.{kind}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))


def benchmarks(here: Path) -> None:
    categories = [{"id": 10 + i, "name": name} for i, name in enumerate(TREES)]
    for number, (year, counts) in enumerate({"train2018": TREES, "val2018": PARTS["test"]}.items()):
        images = [(seed, name, f"train_val2018/Plantae/{seed}.jpg") for seed, name in trees(counts, number)]
        for seed, _, path in images:
            draw(here / "inat2018" / path, seed)
        listing = {
            "images": [{"id": seed, "file_name": path} for seed, _, path in images],
            "annotations": [
                {"image_id": seed, "category_id": 10 + list(TREES).index(name)} for seed, name, _ in images
            ],
            "categories": [{"id": category["id"], "name": str(category["id"])} for category in categories],
        }
        (here / "inat2018" / f"{year}.json").write_text(json.dumps(listing))
    (here / "inat2018" / "categories.json").write_text(json.dumps(categories))
    for root, prefix in {"imagenet": "ImageNet_LT", "places": "Places_LT"}.items():
        for number, part in enumerate(("train", "val", "test")):
            rows = trees(PARTS.get(part, PARTS["test"]), number)
            for seed, _ in rows:
                draw(here / root / part / f"{seed}.JPEG", seed)
            lines = [f"{part}/{seed}.JPEG {list(TREES).index(name)}\n" for seed, name in rows]
            (here / root / f"{prefix}_{part}.txt").write_text("".join(lines))
        (here / root / "class_names.txt").write_text("\n".join(TREES))


def cifar(here: Path) -> None:
    for folder in ("cifar100", "cifar100_lt_folders"):
        divided(here / folder)


def grocery(here: Path) -> None:
    """Create the folders of the data set's repository, then run the script of the page."""
    for number, (part, counts) in enumerate({**PARTS, "val": dict.fromkeys(TREES, 1)}.items()):
        for seed, name in trees(counts, number):
            group = Path("Fruit", "Oak") if name == "red oak" else Path("Vegetables")
            folder = here / "GroceryStoreDataset" / "dataset" / part / group / name.replace(" ", "-")
            draw(folder / f"{seed}.jpg", seed)
    (code,) = blocks(ROOT / "docs" / "data" / "grocery.md", "python")
    exec(compile(code, "grocery.md", "exec"), {})
    assert len(list((here / "grocery" / "train" / "red oak").iterdir())) == TREES["red oak"] + 1


MADE: dict[str, Callable[[Path], None]] = {
    "index": folders,
    "folder": folders,
    "list": lists,
    "table": tables,
    "huggingface": hugging_face,
    "webdataset": tar_shards,
    "benchmarks": benchmarks,
    "cifar": cifar,
    "grocery": grocery,
    "emoji": lambda here: None,
}


@pytest.fixture(scope="module")
def small_presets(cards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped settings made small."""
    return quick_presets(tmp_path_factory.mktemp("small") / "presets", TINY | {"experts": experts_on(cards, SMALL)})


@pytest.fixture
def here(small_presets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, where presets are the small ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(resolve, "FOLDER", small_presets)
    return tmp_path


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_of_a_page_runs(
    page: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MADE[page.stem](here)
    assert any(line.startswith("lptpp data ") for line in commands(page))
    finished: set[Path] = set()  # metrics of the runs
    for line in commands(page):
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, f"{line}\n{capsys.readouterr().err}"
        if line.startswith("lptpp data "):
            summary = json.loads((here / "data_report" / "summary.json").read_text())
            assert summary["image_check"]["unreadable"] == 0, line
        else:
            written = set(here.glob("**/metrics.json")) - finished
            assert len(written) == 1, line
            finished |= written


def test_every_source_has_a_page_and_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "data" / "index.md").read_text(encoding="utf-8")
    assert {page.stem for page in PAGES} == MADE.keys()
    for source in SOURCES:
        assert f"`{source}`" in index
    for page in PAGES:
        assert page.stem == "index" or f"({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_settings_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / target).is_file(), target


def test_the_numbers_on_the_page_of_emoji(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split("lptpp data emoji"))
    with pytest.raises(SystemExit):
        cli.main()
    found = json.loads((here / "data_report" / "summary.json").read_text())
    assert (sum(found["images"].values()), found["classes"]) == (1903, 100)
    keys = ("duplicates", "duplicates_across_splits", "duplicates_across_classes")
    assert [found["image_check"][key] for key in keys] == [10, 8, 4]


def test_the_table_written_in_python(here: Path) -> None:
    from lptpp.data.sources.table_reader import open_table

    (code,) = blocks(ROOT / "docs" / "data" / "table.md", "python")
    exec(compile(code, "table.md", "exec"), {})
    rows = open_table(here / "table.csv").rows(["path", "label"])
    assert [values for _, values in rows] == [("trees/1.jpg", "red oak"), ("trees/2.jpg", "elm")]
