"""A guard on results: tiny seeded runs of every method give what `guard.json` recorded.

On the processor and the libraries of the recording, tuned weights must be the same to the bit and numbers to six
decimals. Elsewhere rounding differs: sums and norms of the weights and all numbers must then be within `TOLERANCE`
(metrics, which are percentages, within `PERCENT`), and a warning says so. Names play no part: weights and numbers are
compared sorted. Where results are meant to change, record them again and commit the file:
`python -m tests.test_guard`.
"""

import csv
import hashlib
import json
import math
import platform
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import timm
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file, save_file

import lptpp
from lptpp.config import load_settings
from lptpp.config.methods import METHODS
from lptpp.losses import LOSSES
from lptpp.samplers import SAMPLERS
from lptpp.training.fit import fit
from tests.drawn import smooth
from tests.towers import LANGUAGE, VISION, write_card

# The settings of every run; those of ALL are written into the file that the others are laid over.
ALL = "all"
PLAIN_TOWER = """
    experts.visual.backbone.name=test_vit experts.visual.backbone.weights=INPUTS/test_vit.safetensors
    experts.visual.backbone.image_size=64
"""
SETTINGS = {
    ALL: """
        seed=7 device=cpu precision=float32 data.source=folder data.root=INPUTS/pictures
        experts.visual.backbone.name=vision_random
        experts.visual.backbone.weights=INPUTS/vision_random.safetensors
        experts.visual.shared_prompts=2 experts.visual.adapter_width=2
        experts.visual.group_prompts=2 experts.visual.num_groups=3 experts.visual.top_k=1 experts.visual.group_blocks=2
        experts.language.backbone.kind=language experts.language.backbone.name=clip_random
        experts.language.backbone.weights=INPUTS/clip_random.safetensors experts.language.head=text
        experts.language.shared_prompts=2 experts.language.adapter_width=3 experts.language.learning_rate_factor=0.5
        experts.language.group_prompts=1 experts.language.num_groups=4 experts.language.top_k=2
        experts.language.group_blocks=3
        phase1.epochs=2 phase1.batch_size=8 phase1.learning_rate=0.5 phase1.dual.weight=0
        phase2.epochs=2 phase2.batch_size=8 phase2.learning_rate=0.5
        phase3.epochs=2 phase3.batch_size=8 phase3.learning_rate=0.1 phase3.views=2 phase3.hidden=8
        evaluation.shot_thresholds=[2,6] evaluation.baselines=[]
    """,
    "lptpp": """
        method=lptpp data.validation=0.25 phase3.held_back=0.3
        phase1.main.sampler=class_balanced phase1.main.loss.name=a_gcl
        phase2.main.sampler=class_balanced phase2.main.loss.name=a_gcl
        phase2.dual.sampler=instance_balanced phase2.dual.loss.name=a_gcl phase2.dual.weight=0.5
        evaluation.each_epoch=true
        evaluation.baselines=[zero_shot,class_means,linear_probe,balanced_probe,joint_linear_probe,joint_balanced_probe]
    """,
    "lptpp_test_time": """
        method=lptpp data.validation=0.25 phase3.views=0 phase3.reads=both phase3.mixes=logits
        augmentation.color=0.4 augmentation.flip=false
        evaluation.views=five_crops evaluation.prior=uniform evaluation.temperature=fitted
    """,
    "lptpp_cached_views": """
        method=lptpp augmentation.cached_views=2 phase1.optimizer=adamw phase1.learning_rate=0.05
        phase1.main.sampler=square_root phase1.main.loss.name=gcl
        phase1.dual.sampler=effective_number phase1.dual.loss.name=focal phase1.dual.weight=0.5
        phase2.main.sampler=effective_number phase2.main.loss.name=ldam
        phase2.dual.sampler=square_root phase2.dual.loss.name=class_balanced
        phase3.sampler=square_root phase3.reads=confidences
        evaluation.views=flip evaluation.prior=training evaluation.temperature=2
    """,
    "lpt": f"""
        method=lpt {PLAIN_TOWER} phase2.key_weight=0.2
        phase1.main.loss.name=class_balanced phase1.main.loss.options.beta=0.9
    """,
    "lpt_as_published": f"""
        method=lpt {PLAIN_TOWER} augmentation.smallest_crop=0.08
        experts.visual.backbone.resize=squash experts.visual.backbone.crop_share=0.875
        phase1.dropout=0.1 phase1.warmup_rate=0.01 phase1.main.sampler=class_aware
        phase1.dual.weight=0.5 phase1.dual.loss.options.positive_focus=0.5 phase1.dual.loss.options.negative_focus=8
        phase2.dropout=0.1 phase2.warmup_rate=0.01 phase2.main.sampler=class_aware
    """,
    "linear_probe": """
        method=linear_probe phase1.main.loss.name=logit_adjustment phase1.main.loss.options.tau=1.2
        evaluation.baselines=[linear_probe]
    """,
    "vpt_deep": f"""
        method=vpt_deep {PLAIN_TOWER} experts.visual.head=random
        phase1.main.loss.name=cross_entropy phase1.main.loss.options.smoothing=0.1
    """,
    "adaptformer": "method=adaptformer augmentation.smallest_crop=1 evaluation.prior=training",
    "full": "method=full phase1.learning_rate=0.05",
}
# All that these hold take part, under a key with this end.
NAMED: dict[str, Mapping[str, Any]] = {"method": METHODS, ".sampler": SAMPLERS, ".loss.name": LOSSES}

RUNS = [name for name in SETTINGS if name != ALL]
COUNTS = {"ant": 8, "bee": 5, "cow": 3, "doe": 1}  # training pictures
TESTED = 3  # of each class
LOOKED_AT = ("ant/0.png", "cow/2.png")  # by predict
NUMBER = r"-?\d+(\.\d+)?(e-?\d+)?"  # a cell of a table
CLOCK = "seconds"  # in the name of a column of history.csv that tells the time
LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "scikit-learn")
RECORD = Path(__file__).with_name("guard.json")
TOLERANCE = 1e-3  # between two machines
DERIVED = ("tested", "differences")  # metrics that follow from the data and the predictions
PERCENT = 100 * TOLERANCE  # of the metrics

Found = dict[str, Any]  # of a run: weights, a hash; all else lists of numbers


def machine() -> dict[str, str]:
    """Return what decides how results are rounded: the processor and the versions of the libraries."""
    parts = {
        "machine": platform.machine(),
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    return parts | {name: version(name) for name in LIBRARIES}


def processor() -> str:
    """Return the name of the processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def make_inputs(folder: Path) -> Path:
    """Write pictures, towers on random weights and the file of settings into a folder, and return it."""
    for label, (name, count) in enumerate(COUNTS.items()):
        for part, number in (("train", count), ("test", TESTED)):
            for place in range(number):
                draw(folder / "pictures" / part / name / f"{place}.png", label, [label, place, number])
    write_card(folder, VISION)
    write_card(folder, LANGUAGE)
    write_plain_tower(folder / "test_vit.safetensors")
    OmegaConf.save(OmegaConf.from_dotlist(settings(ALL, folder)), folder / "all.yaml")
    return folder


def draw(path: Path, label: int, seed: list[int]) -> None:
    """Draw a picture whose colors and upper edge tell its class, under noise."""
    noise = np.random.default_rng(seed).integers(0, 80, (40, 48, 3))
    drawn = smooth(40, 48).permute(1, 2, 0).numpy() // 4 + noise
    drawn[..., label % 3] += 60
    drawn[: 10 * label] += 40
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn.astype(np.uint8)).save(path)


def write_plain_tower(path: Path) -> None:
    """Write the weights of a tower without a stem, and with a class token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = timm.create_model("test_vit", num_classes=0)
    save_file(tower.state_dict(), path)


def settings(name: str, inputs: Path) -> list[str]:
    """Return the key=value settings of a run."""
    return SETTINGS[name].replace("INPUTS", str(inputs)).split()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: how many there are decides the order of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find(name: str, inputs: Path, folder: Path) -> Found:
    """Train a run in a folder, and return what is compared of it."""
    images = [inputs / "pictures" / "test" / path for path in LOOKED_AT]
    with one_thread():
        fit(load_settings(inputs / "all.yaml", [f"run={folder}", *settings(name, inputs)]))
        predicted = lptpp.load(folder).predict(images, top_k=len(COUNTS))
    by_class = [sorted((one.label, one.probability) for one in image) for image in predicted]
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    tables = [path for path in folder.glob("*.csv") if path.name != "history.csv"]
    return {
        **of_weights(tuned_weights(folder)),
        "metrics": ordered(numbers({key: value for key, value in metrics.items() if key not in DERIVED})),
        "history": ordered(cells(folder / "history.csv")),
        "tables": ordered(cell for path in tables for cell in cells(path)),
        "predictions": [round(probability, 6) for image in by_class for _, probability in image],
    }


def tuned_weights(folder: Path) -> list[torch.Tensor]:
    """Return the tensors that a finished run keeps."""
    path = max(folder.glob("checkpoint/step-*/tuned.safetensors"), key=lambda one: int(one.parent.name[5:]))
    return list(load_file(path).values())


def of_weights(tensors: Sequence[torch.Tensor]) -> Found:
    """Return a hash of tensors in any order, and the sums and norms of each."""
    hashes = sorted(hash_of(tensor) for tensor in tensors)
    return {
        "weights": hashlib.sha256("".join(hashes).encode()).hexdigest(),
        "sums": ordered(tensor.double().sum().item() for tensor in tensors),
        "norms": ordered(tensor.double().norm().item() for tensor in tensors),
    }


def hash_of(tensor: torch.Tensor) -> str:
    """Return the sha256 of the shape and bytes of a tensor."""
    return hashlib.sha256(str(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes()).hexdigest()


def numbers(content: Any) -> Iterator[float]:
    """Yield all numbers of nested dictionaries and lists."""
    if isinstance(content, int | float):
        yield content
    elif isinstance(content, Mapping | list):
        for item in content.values() if isinstance(content, Mapping) else content:
            yield from numbers(item)


def cells(path: Path) -> Iterator[float]:
    """Yield all numbers of a table, without those of a clock."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for column, cell in row.items():
                if CLOCK not in column and re.fullmatch(NUMBER, cell):
                    yield float(cell)


def ordered(values: Iterable[float]) -> list[float]:
    """Return numbers to six decimals, sorted."""
    return sorted(round(float(value), 6) + 0.0 for value in values)  # no minus zero


def changed(found: Found, recorded: Found, exact: bool) -> list[str]:
    """Return the names of what differs; nothing may be missing or empty."""
    names = found.keys() | recorded.keys()
    if exact:
        return sorted(name for name in names if not found.get(name) or found.get(name) != recorded.get(name))
    tolerances = {name: PERCENT if name == "metrics" else TOLERANCE for name in names - {"weights"}}
    return sorted(
        name for name, one in tolerances.items() if not close(found.get(name, []), recorded.get(name, []), one)
    )


def close(found: Sequence[float], recorded: Sequence[float], tolerance: float) -> bool:
    """Say whether there are numbers, as many as recorded, each within the tolerance."""
    pairs = zip(found, recorded, strict=False)
    near = (math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=tolerance) for one, other in pairs)
    return 0 < len(found) == len(recorded) and all(near)


def record() -> None:
    """Write down the results of every run, one a line."""
    with TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        found = {name: find(name, inputs, Path(folder) / name) for name in RUNS}
    lines = [f"{json.dumps(name)}: {json.dumps(content)}" for name, content in {"machine": machine(), **found}.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module")
def recorded() -> dict[str, Found]:
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_what_was_recorded(name: str, inputs: Path, recorded: dict[str, Found], tmp_path: Path) -> None:
    here, there = machine(), recorded["machine"]
    other = sorted(part for part in here.keys() | there.keys() if here.get(part) != there.get(part))
    if other:
        warnings.warn(f"not as recorded: {', '.join(other)}; compared within {TOLERANCE} only", stacklevel=1)
    assert changed(find(name, inputs, tmp_path), recorded[name], exact=not other) == []


def test_every_run_is_recorded(recorded: dict[str, Found]) -> None:
    assert recorded.keys() == {"machine", *RUNS}


@pytest.mark.parametrize("key", NAMED)
def test_every_method_sampler_and_loss_takes_part(key: str) -> None:
    given = [setting.partition("=") for name in RUNS for setting in SETTINGS[name].split()]
    assert {value for name, _, value in given if name.endswith(key)} == set(NAMED[key])


def test_a_change_is_found() -> None:
    tensors = [torch.arange(6.0).view(2, 3), torch.ones(4)]
    before, swapped = of_weights(tensors), of_weights(tensors[::-1])
    nudged, moved = (of_weights([tensors[0], tensors[1] + change]) for change in (1e-6, 0.1))
    assert changed(swapped, before, exact=True) == []
    assert "weights" in changed(nudged, before, exact=True)
    assert changed(nudged, before, exact=False) == []
    assert changed(moved, before, exact=False) == ["norms", "sums"]
    assert changed({}, before, exact=False) == ["norms", "sums"]
    assert changed({}, before, exact=True) == ["norms", "sums", "weights"]


if __name__ == "__main__":
    record()
