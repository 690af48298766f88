"""Trains one tower on cached crops; resumes from the last saved step."""

import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from lptpp.inference.runtime import has_bf16
from lptpp.utils.progress import console, progress_bar
from lptpp.utils.random import key
from pretraining.batches import Batch, Batches
from pretraining.cache import Stem, cache_views
from pretraining.names import Names
from pretraining.pack import read_source
from pretraining.settings import TowerSettings
from pretraining.tasks import LanguageTask, VisionTask, tokenized
from pretraining.towers import (
    build_text,
    build_tower,
    install_stem,
    start_from_components,
    tokenizer,
    trained_parameters,
)

REPORT_EVERY = 100  # steps
STARTED_ON = 8  # batches for the initialization


def train_tower(settings: TowerSettings, pack: Path, work: Path, device: torch.device) -> Path:
    """Train a tower on a pack and return the file of its weights: float32, without the stem.

    The cached crops and the training state in `work` are reused.
    """
    stem = Stem(settings.stem, device)
    sources = {}
    began = time.perf_counter()
    for source in settings.views:
        packed = read_source(pack, source)
        sources[source] = cache_views(work / settings.stem, source, packed, settings, stem)
        console.print(f"{settings.name}: crops of {source} after {(time.perf_counter() - began) / 60:.1f} min")
    names = Names.read(pack / "names.json")
    batches = Batches(sources, len(names.emoji), stem, settings)
    torch.manual_seed(settings.seed)
    task = build_task(settings, stem, names).to(device)
    _start(task, [batches(step) for step in range(STARTED_ON)], settings.start)
    return _train(task, batches, settings, work)


def build_task(settings: TowerSettings, stem: Stem, names: Names) -> VisionTask | LanguageTask:
    """Return the training task of a tower, with its untrained tower."""
    tower = build_tower(settings)
    install_stem(tower, stem)
    if settings.kind == "vision":
        return VisionTask(tower, stem, len(names.emoji), settings)
    tower.head = nn.Linear(tower.embed_dim, settings.text["output_dim"], bias=False)
    with torch.no_grad():
        nn.init.eye_(tower.head.weight)
    tokens = tokenized(names, tokenizer(settings), stem.device)
    return LanguageTask(tower, build_text(settings), stem, names, tokens, settings)


@torch.no_grad()
def _start(task: VisionTask | LanguageTask, batches: list[Batch], path: str | None) -> None:
    """Initialize the tower from principal components or from weights, then fit the linear maps of the distillation."""
    pooled = torch.cat([batch.pooled for batch in batches])
    start_from_components(task.tower, pooled)
    if path is not None:
        weights = load_file(path)
        known = {name: weights[name] for name, _ in trained_parameters(task) if name in weights}
        task.load_state_dict(task.state_dict() | known)
    task.eval()
    feature = torch.cat([task.feature(batch) for batch in batches])
    task.distillation.start(feature, pooled, torch.cat([batch.teacher for batch in batches]))


def _train(task: VisionTask | LanguageTask, batches: Batches, settings: TowerSettings, work: Path) -> Path:
    device = batches.stem.device
    parameters = dict(trained_parameters(task))
    optimizer = _optimizer(parameters, settings)
    mean = {name: one.detach().clone() for name, one in parameters.items()}  # moving average of the weights
    state = work / f"{settings.name}.state.safetensors"
    made_from = str(asdict(settings))
    first = _restore(state, parameters, mean, optimizer, made_from) if state.is_file() else 0
    bf16 = device.type == "cuda" or has_bf16(on_cpu=True)
    began, summed = time.perf_counter(), torch.zeros((), device=device)
    task.train()
    with progress_bar(f"{settings.name}: training", settings.steps, first) as bar:
        for step in range(first, settings.steps):
            batch = batches(step)
            torch.manual_seed(key(settings.seed, "step", step))  # so that dropout does not depend on resuming
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = task(batch, step)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings)
            optimizer.step()
            keep = min(settings.keep, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(mean.values()), [one.detach() for one in parameters.values()], 1 - keep)
            summed += loss.detach()
            bar.advance()
            if (step + 1) % REPORT_EVERY == 0:
                _report(settings, step + 1, summed, began)
                summed.zero_()
            if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
                _save(state, parameters, mean, optimizer, step + 1, made_from)
    path = work / f"{settings.name}.safetensors"
    save_file({name: one.cpu() for name, one in mean.items()}, path, {"settings": made_from})
    return path


def learning_rate(step: int, settings: TowerSettings) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _optimizer(parameters: dict[str, nn.Parameter], settings: TowerSettings) -> torch.optim.Optimizer:
    vectors = [one for one in parameters.values() if one.ndim < 2]
    matrices = [one for one in parameters.values() if one.ndim >= 2]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, settings.learning_rate, (0.9, 0.98), weight_decay=settings.weight_decay)


def _save(
    path: Path, parameters: dict, mean: dict, optimizer: torch.optim.Optimizer, step: int, made_from: str
) -> None:
    tensors = {"step": torch.tensor(step)}
    for name, one in parameters.items():
        moments = optimizer.state[one]
        tensors |= {f"weight/{name}": one, f"mean/{name}": mean[name], f"first/{name}": moments["exp_avg"]}
        tensors |= {f"second/{name}": moments["exp_avg_sq"]}
    beside = path.with_suffix(".new")
    save_file({name: one.detach().cpu().contiguous() for name, one in tensors.items()}, beside, {"settings": made_from})
    beside.replace(path)


@torch.no_grad()
def _restore(path: Path, parameters: dict, mean: dict, optimizer: torch.optim.Optimizer, made_from: str) -> int:
    with safe_open(path, "pt") as file:
        if file.metadata()["settings"] != made_from:
            raise ValueError(f"{path} was written with other settings: use another --work folder or delete it.")
    tensors = load_file(path)
    step = int(tensors["step"])
    for name, one in parameters.items():
        one.copy_(tensors[f"weight/{name}"])
        mean[name].copy_(tensors[f"mean/{name}"])
        optimizer.state[one] = {
            "step": torch.tensor(float(step)),
            "exp_avg": tensors[f"first/{name}"].to(one.device),
            "exp_avg_sq": tensors[f"second/{name}"].to(one.device),
        }
    return step


def _report(settings: TowerSettings, step: int, summed: torch.Tensor, began: float) -> None:
    minutes = (time.perf_counter() - began) / 60
    console.print(
        f"{settings.name} step {step} of {settings.steps}: loss {summed / REPORT_EVERY:.4f}, {minutes:.1f} min"
    )
