"""Every command of the README runs, in order, in a folder like that of a reader, with tiny settings."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.config import resolve
from lptpp.data.sources import emoji
from lptpp.data.sources.files import read_json
from tests.presets import change, quick_presets, run_lptpp
from tests.towers import experts_on

pytestmark = pytest.mark.usefixtures("no_sections")
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TINY_EXPERT = {
    "shared_prompts": 2, "group_prompts": 2, "num_groups": 3, "top_k": 1, "group_blocks": 2, "adapter_width": 2,
}  # fmt: skip


def tiny(cards: Path) -> dict:
    """Return settings for quick runs on the towers of `cards`."""
    return {
        "precision": "float32",
        "phase1": {"epochs": 1},
        "phase2": {"epochs": 1},
        "phase3": {"epochs": 1, "views": 1},
        "experts": experts_on(cards, TINY_EXPERT),
    }


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands(program: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith(program)]


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size=(40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def folder(cards: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a reader, who works in it: tiny presets, a run of the demo on few emoji, own images."""
    folder = tmp_path_factory.mktemp("reader")
    presets = quick_presets(folder / "presets", tiny(cards))
    for number in range(12):
        draw(folder / "my_images" / ("oak" if number < 8 else "elm") / f"{number}.png", number)
    draw(folder / "new_images" / "a.png", 20)
    draw(folder / "cat.png", 21)
    change(presets / "emoji.yaml", {"method": "lpt", "evaluation": {"baselines": []}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(resolve, "FOLDER", presets)
        patch.setattr(emoji, "read_json", lambda path, what: read_json(path, what)[::8])
        assert run_lptpp("fit", "emoji") == 0
        yield folder


def test_the_two_commands_are_targets_of_the_makefile():
    assert commands("make") == ["make demo", "make test"]
    for command in commands("make"):
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_each_command_for_own_images_runs(folder: Path, capsys: pytest.CaptureFixture[str]):
    lines = commands("lptpp ")
    assert len(lines) >= 4
    for line in lines:
        assert run_lptpp(*shlex.split(line)[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
        assert capsys.readouterr().out.strip(), f"{line} prints nothing"
    assert (folder / "predictions.csv").is_file()


def test_the_python_example_runs(folder: Path):
    (code,) = blocks("python")
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    found = names["model"].predict("cat.png", top_k=3)
    assert len(found) == 3
    assert found[0].probability >= found[1].probability >= found[2].probability


def test_every_file_that_the_readme_points_to_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
