"""From the command to the first step of a run: CPU seconds, seconds, and peak memory of a whole `lptpp fit`.

Run as a program, it is that command, and ends at the first step.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from lptpp.training.recorder import RunRecorder
from tests.towers import LANGUAGE, VISION, experts_on, write_card

IMAGES = 1_000  # different ones, which a list or a folder repeats
LIST_CLASSES, FOLDERS = 8_142, 1_000
TINY, USUAL = (64, 64), (400, 300)  # pixels, width and height
PARTS = {"shared_prompts": 2, "adapter_width": 2, "group_prompts": 2, "num_groups": 3, "group_blocks": 2}
BLOCK = 100_000  # lines written at once
KB = 1_024


class Start(NamedTuple):
    """What came before the end of the first step."""

    cpu_seconds: float
    seconds: float
    peak_gb: float  # 10⁹ bytes

    def __str__(self) -> str:
        return f"{self.cpu_seconds:.1f} CPU s, {self.seconds:.1f} s, peak memory {self.peak_gb:.2f} GB"


def start_of_list(lines: int, folder: Path, images: int = IMAGES, classes: int = LIST_CLASSES) -> Start:
    """Measure a run on a list of lines that repeat some images, with two tiny random experts and random heads."""
    for card in (VISION, LANGUAGE):
        write_card(folder, card)
    draw_images(folder / "images", TINY, images)
    file = write_lines(folder / "list.txt", lines, images, classes)
    experts = {name: {**one, "head": "random"} for name, one in experts_on(folder, PARTS).items()}
    phase = {"epochs": 1, "batch_size": 16}
    data = {"source": "list", "root": str(folder / "images"), "train_list": str(file), "test": 0.01}
    OmegaConf.save({"experts": experts, "data": data, "phase1": phase, "phase2": phase}, folder / "settings.yaml")
    return first_step([str(folder / "settings.yaml"), "device=cpu", f"run={folder / 'run'}"])


def start_of_folders(links: int, folder: Path, images: int = IMAGES, classes: int = FOLDERS) -> Start:
    """Measure a run with the preset for own images on class folders of hard links to some images."""
    draw_images(folder / "images", USUAL, images)
    for number in range(links):
        link = folder / "links" / f"{number % classes:04}" / f"{number:07}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "images" / _name(number % images), link)
    return first_step(["folder", f"data.root={folder / 'links'}", "device=cpu", f"run={folder / 'run'}"])


def draw_images(folder: Path, size: tuple[int, int], images: int) -> None:
    """Write JPEG files of smooth noise."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(images):
        coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / _name(number), quality=90)


def write_lines(file: Path, lines: int, images: int, classes: int) -> Path:
    """Write lines `path label`."""
    with file.open("w") as opened:
        for first in range(0, lines, BLOCK):
            numbers = range(first, min(first + BLOCK, lines))
            opened.writelines(f"{_name(number % images)} {number % classes}\n" for number in numbers)
    return file


def _name(image: int) -> str:
    return f"{image:09}.jpg"


def first_step(arguments: Sequence[str]) -> Start:
    """Measure `lptpp fit` in a new process.

    Raises:
        RuntimeError: it ended before its first step.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.scale.start", "fit", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        output, errors = process.communicate()
    try:
        cpu_seconds, ended, peak = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"{' '.join(command)} did not take a step: {errors}") from None
    return Start(cpu_seconds, ended - began, peak / 1e9)


def _peak() -> int:
    """Return the largest number of bytes of memory that this process has used."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, without the memory of the parent process
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * KB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _report(*_: object) -> None:
    print(json.dumps([time.process_time(), time.monotonic(), _peak()]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    from lptpp.cli import main

    RunRecorder.step = _report  # type: ignore[method-assign]
    main()
