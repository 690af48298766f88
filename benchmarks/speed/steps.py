"""Inference and training steps on a batch in memory: the floor, the published form, lptpp."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from benchmarks.speed import published
from benchmarks.speed.goals import Finding
from benchmarks.speed.published import Published
from benchmarks.speed.timing import Case, Measurement, measure, time_ratio
from benchmarks.speed.workload import Context, Workload, precisions
from lptpp.config import PhaseSettings, Settings
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import ExpertOutput
from lptpp.training.dual_sampling import ExpertTask, streams
from lptpp.training.loop import Batch, add_gradients, train_only

Predictor = Callable[[torch.Tensor], ExpertOutput]


def inference(workload: Workload, rounds: int) -> dict[str, Measurement]:
    """Measure one forward pass: the frozen tower by our code and by timm's; the published form; ours."""
    expert, tower = workload.expert, workload.expert.encoder.tower
    forms: dict[str, Callable[[torch.Tensor], object]] = {
        "floor": AdaptedEncoder(tower).query_feature,
        "timm's forward": tower,
        "published": Published(expert).phase2,
        "ours": expert,
    }
    return _measured(workload, "inference", rounds, forms, lambda run, context: forward(workload, run, context))


def phase1_step(workload: Workload, rounds: int) -> dict[str, Measurement]:
    """Measure one step of phase 1."""
    expert, settings = workload.expert, Settings().phase1
    forms = {"published": (Published(expert).phase1, published.add_gradients), "ours": (expert.phase1, add_gradients)}
    return _measured(workload, "phase-1 step", rounds, forms, lambda form, at: step(workload, settings, 1, at, *form))


def phase2_step(workload: Workload, rounds: int) -> dict[str, Measurement]:
    """Measure one step of phase 2: half a class-balanced, half an instance-balanced batch."""
    expert, settings = workload.expert, Settings().phase2
    forms = {"published": (Published(expert).phase2, published.add_gradients), "ours": (expert.forward, add_gradients)}
    return _measured(workload, "phase-2 step", rounds, forms, lambda form, at: step(workload, settings, 2, at, *form))


def forward(workload: Workload, run: Callable[[torch.Tensor], object], context: Context) -> Callable[[], None]:
    """Return a function that runs a form on the images of the workload, without gradients."""

    def take() -> None:
        with torch.no_grad(), context():
            run(workload.images)

    return take


def step(
    workload: Workload,
    settings: PhaseSettings,
    phase: int,
    context: Context,
    predictor: Predictor,
    gradients: Callable[..., torch.Tensor] = add_gradients,
) -> Callable[[], None]:
    """Return a function that takes one step of a phase: loss, gradients, optimizer with learning rate 0."""
    task = ExpertTask(workload.expert, predictor, workload.counts, settings).to(workload.device)
    parameters = list(workload.expert.phase_parameters(phase))
    optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9)
    train_only(task, parameters)
    batch = Batch(workload.images, workload.labels, lambda: [], len(streams(settings)))

    def loss_of(*given: object) -> torch.Tensor:
        with context():
            return task(*given)

    def take() -> None:
        gradients(loss_of, torch.Tensor.backward, batch, 0)
        optimizer.step()
        optimizer.zero_grad()

    return take


def inference_findings(workload: Workload, measured: Mapping[str, Measurement]) -> Iterator[Finding]:
    """Yield the findings on inference."""
    on, names = workload.label, precisions(workload.device)
    yield Finding(
        "floor", on, {name: time_ratio(measured[f"ours, {name}"], measured[f"floor, {name}"]) for name in names}
    )
    yield Finding("inference", on, _gains(measured, names))


def step_findings(workload: Workload, measured: Mapping[str, Measurement]) -> Iterator[Finding]:
    """Yield the findings on phase-2 steps."""
    on, names = workload.label, list(precisions(workload.device))
    published, ours = measured["published, float32"], measured[f"ours, {names[-1]}"]
    yield Finding("phase2 same", on, _gains(measured, names))
    if workload.device.type == "cpu":
        yield Finding("phase2 default", on, {names[-1]: time_ratio(published, ours)})
    peaks = {name: measured[f"ours, {name}"].peak_bytes / measured[f"published, {name}"].peak_bytes for name in names}
    yield Finding("memory same", on, peaks)
    yield Finding("memory default", on, {names[-1]: ours.peak_bytes / published.peak_bytes})


def _gains(measured: Mapping[str, Measurement], names: Iterable[str]) -> dict[str, float]:
    """Return the speedup over the published form at each precision."""
    return {name: time_ratio(measured[f"published, {name}"], measured[f"ours, {name}"]) for name in names}


def _measured(
    workload: Workload,
    what: str,
    rounds: int,
    forms: Mapping[str, Any],
    prepare: Callable[[Any, Context], Callable[[], None]],
) -> dict[str, Measurement]:
    """Measure every form at every precision."""
    cases = [
        Case(f"{form}, {precision}", prepare(run, context), len(workload.images))
        for form, run in forms.items()
        for precision, context in precisions(workload.device).items()
    ]
    return measure(f"{workload.label}: {what}", cases, workload.device, rounds)
