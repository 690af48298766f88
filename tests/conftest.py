"""A data set of 17 small pictures in four classes, and one short LPT++ run on it that many tests look at."""

import gc
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from lptpp.utils import progress

if TYPE_CHECKING:  # pytest-xdist reads this file before it starts the workers, which import PyTorch
    from lptpp.config import Settings
    from lptpp.models.mixture import Mixture

LONG = (  # files that take longest, the longest first: at the end, no process of pytest-xdist waits for another
    "benchmarks/test_reliability.py",
    "benchmarks/test_speed.py",
    "training/test_processes.py",
    "export/test_docs.py",
    "export/test_onnx_files.py",
    "report/test_page.py",
    "app/test_page_in_browser.py",
    "training/test_resume.py",
    "test_full_disk.py",
    "data/test_docs.py",
    "sweep/test_search.py",
    "config/test_presets.py",
    "test_cli.py",
    "models/test_families.py",
    "export/test_torch_program.py",
    "training/test_tracking_page.py",
    "report/test_many_classes.py",
    "inference/test_model.py",
    "training/test_cross_fitting.py",
    "evaluation/test_new_images.py",
    "models/test_encoder.py",
)
STARTED = set[Path]()  # files of tests
COUNTS = {"apple": 8, "bear": 5, "car": 3, "dog": 1}  # training images
TESTED = 3  # of each class
SMALL = """
data: {{source: folder, root: {root}}}
device: cpu
precision: float32
experts:
  visual:
    backbone: {{name: vision_random, weights: {cards}/vision_random.safetensors}}
    shared_prompts: 2
    adapter_width: 2
    group_prompts: 2
    num_groups: 3
    top_k: 1
    group_blocks: 2
  language:
    backbone: {{kind: language, name: clip_random, weights: {cards}/clip_random.safetensors}}
    head: text
    shared_prompts: 2
    adapter_width: 2
    group_prompts: 2
    num_groups: 3
    top_k: 1
    group_blocks: 2
phase1: {{epochs: 2, batch_size: 8}}
phase2: {{epochs: 2, batch_size: 8}}
phase3: {{epochs: 2, batch_size: 8, views: 1, hidden: 8}}
evaluation: {{shot_thresholds: [2, 6]}}
"""


os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="lptpp-tests-")  # no test remembers images of a user
gc.disable()  # until the first test: imports leave no garbage
gc.set_threshold(20_000)  # a run makes many objects and little garbage
progress.FIRST_LINE = math.inf  # no line depends on how busy the machine is


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest."""
    folder = Path(__file__).parent
    rank = {folder / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(LONG)))


@pytest.hookimpl(tryfirst=True)  # before the fixtures, of which those of the session come first
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep what is imported and shared out of the garbage collections at the end of every phase: 0.4 s each."""
    if item.path not in STARTED:
        STARTED.add(item.path)
        gc.enable()
        gc.collect()
        gc.freeze()


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, what it returned, its mixture, and a copy of every checkpoint it wrote."""

    folder: Path
    metrics: dict[str, Any]
    mixture: "Mixture"
    checkpoints: list[Path]


@pytest.fixture(scope="session", autouse=True)
def no_power_failure() -> Iterator[None]:
    """Wait for no disk: hundreds of files are slow on some, and what a killed process wrote is there without it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_collection_per_stage() -> Iterator[None]:
    """Leave garbage to Python: Accelerate collects it after every stage, a sixth of the time of a small run."""
    from accelerate.utils import memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "gc", SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(scope="module")
def no_figures() -> Iterator[None]:
    """Write reports without their figures, most of their time, in tests of something else."""
    from lptpp.report import page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "inline", lambda plot, name: Markup("<svg></svg>"))
        yield


@pytest.fixture(scope="module")
def no_sections() -> Iterator[None]:
    """Write reports without what they say, and so without the tables and axes that it takes."""
    from lptpp.report import page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "SECTIONS", ())
        yield


def draw_picture(path: Path, label: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 80, (40, 40, 3))
    noise[..., label % 3] += 120
    noise[: 10 * label] += 50
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for label, (name, count) in enumerate(COUNTS.items()):
        for number in range(count):
            draw_picture(root / "train" / name / f"{number}.png", label, 100 * label + number)
        for number in range(TESTED):
            draw_picture(root / "test" / name / f"{number}.png", label, 100 * label + 50 + number)
    return root


@pytest.fixture(scope="session")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the cards and weights of two tiny towers."""
    from tests.towers import LANGUAGE, VISION, write_card

    folder = tmp_path_factory.mktemp("cards")
    write_card(folder, VISION)
    write_card(folder, LANGUAGE)
    return folder


@pytest.fixture(scope="session")
def config(pictures: Path, cards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(SMALL.format(root=pictures, cards=cards))
    return path


@pytest.fixture(scope="session")
def settings_of(config: Path) -> Callable[..., "Settings"]:
    """Return a function of a run folder and key=value overrides."""
    from lptpp.config import load_settings

    return lambda folder, *overrides: load_settings(config, [f"run={folder}", *overrides])


@pytest.fixture(scope="session")
def trained(settings_of: Callable[..., "Settings"], tmp_path_factory: pytest.TempPathFactory) -> Run:
    from lptpp import api
    from lptpp.report import page, svg
    from lptpp.training import fit as training
    from lptpp.training import recorder

    folder, copies = tmp_path_factory.mktemp("trained") / "run", tmp_path_factory.mktemp("copies")
    mixtures, checkpoints = [], []
    write_checkpoint, write_evaluation = recorder.write_checkpoint, training.write_evaluation

    def write_and_copy(root: Path, *arguments: Any) -> Any:
        written = write_checkpoint(root, *arguments)
        checkpoints.append(Path(shutil.copytree(root, copies / f"{len(checkpoints)}" / "checkpoint")).parent)
        return written

    def evaluate_and_keep(settings: "Settings", mixture: "Mixture", *arguments: Any) -> Any:
        mixtures.append(mixture)
        return write_evaluation(settings, mixture, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "write_checkpoint", write_and_copy)
        patch.setattr(training, "write_evaluation", evaluate_and_keep)
        patch.setattr(page, "inline", svg.inline)  # whichever module asks first
        metrics = api.fit(settings_of(folder))
    return Run(folder, metrics, mixtures[0].requires_grad_(False), checkpoints)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A Chromium; without one the tests are skipped, or fail if LPTPP_BROWSER=required."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        tell = pytest.fail if os.environ.get("LPTPP_BROWSER") == "required" else pytest.skip
        tell("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()
