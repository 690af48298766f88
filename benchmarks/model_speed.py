"""Inference and training steps on a batch in memory: the floor, the published form, ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch

import published
from goals import Finding
from lptpp.config import PhaseSettings, Settings
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import ExpertOutput
from lptpp.training.loop import Batch, add_gradients, train_only
from lptpp.training.phases import ExpertTask, streams
from published import Published
from subject import Context, Subject, precisions
from timing import Case, Measured, measure, times

Predictor = Callable[[torch.Tensor], ExpertOutput]


def inference(subject: Subject, rounds: int) -> dict[str, Measured]:
    """Measure one forward: the frozen tower with nothing added, by our code and by timm's; the published form; ours."""
    expert, tower = subject.expert, subject.expert.encoder.tower
    forms: dict[str, Callable[[torch.Tensor], object]] = {
        "floor": AdaptedEncoder(tower).query_feature,
        "timm's forward": tower,
        "published": Published(expert).phase2,
        "ours": expert,
    }
    return _measured(subject, "inference", rounds, forms, lambda run, context: forward(subject, run, context))


def phase1_step(subject: Subject, rounds: int) -> dict[str, Measured]:
    """Measure one step of phase 1."""
    expert, settings = subject.expert, Settings().phase1
    forms = {"published": (Published(expert).phase1, published.add_gradients), "ours": (expert.phase1, add_gradients)}
    return _measured(subject, "phase-1 step", rounds, forms, lambda form, at: step(subject, settings, 1, at, *form))


def phase2_step(subject: Subject, rounds: int) -> dict[str, Measured]:
    """Measure one step of phase 2: half of the batch is the class-balanced stream, half the instance-balanced one."""
    expert, settings = subject.expert, Settings().phase2
    forms = {"published": (Published(expert).phase2, published.add_gradients), "ours": (expert.forward, add_gradients)}
    return _measured(subject, "phase-2 step", rounds, forms, lambda form, at: step(subject, settings, 2, at, *form))


def forward(subject: Subject, run: Callable[[torch.Tensor], object], context: Context) -> Callable[[], None]:
    """Return what runs a form on the subject's images, without gradients."""

    def take() -> None:
        with torch.no_grad(), context():
            run(subject.images)

    return take


def step(
    subject: Subject,
    settings: PhaseSettings,
    phase: int,
    context: Context,
    judge: Predictor,
    gradients: Callable[..., torch.Tensor] = add_gradients,
) -> Callable[[], None]:
    """Return what takes one step of a phase: loss, gradients, optimizer (at a learning rate of 0: nothing moves)."""
    task = ExpertTask(subject.expert, judge, subject.counts, settings).to(subject.device)
    parameters = list(subject.expert.phase_parameters(phase))
    optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9)
    train_only(task, parameters)
    batch = Batch(subject.images, subject.labels, lambda: [], len(streams(settings)))

    def loss_of(*given: object) -> torch.Tensor:
        with context():
            return task(*given)

    def take() -> None:
        gradients(loss_of, torch.Tensor.backward, batch, 0)
        optimizer.step()
        optimizer.zero_grad()

    return take


def inference_findings(subject: Subject, measured: Mapping[str, Measured]) -> Iterator[Finding]:
    """Yield what inference says of the goals."""
    on, names = subject.label, precisions(subject.device)
    yield Finding("floor", on, {name: times(measured[f"ours, {name}"], measured[f"floor, {name}"]) for name in names})
    yield Finding("inference", on, _gains(measured, names))


def step_findings(subject: Subject, measured: Mapping[str, Measured]) -> Iterator[Finding]:
    """Yield what phase-2 steps say of the goals."""
    on, names = subject.label, list(precisions(subject.device))
    published, ours = measured["published, float32"], measured[f"ours, {names[-1]}"]
    yield Finding("phase2 same", on, _gains(measured, names))
    if subject.device.type == "cpu":
        yield Finding("phase2 default", on, {names[-1]: times(published, ours)})
    peaks = {name: measured[f"ours, {name}"].peak_bytes / measured[f"published, {name}"].peak_bytes for name in names}
    yield Finding("memory same", on, peaks)
    yield Finding("memory default", on, {names[-1]: ours.peak_bytes / published.peak_bytes})


def _gains(measured: Mapping[str, Measured], names: Iterable[str]) -> dict[str, float]:
    """Return how many times faster ours is than the published form at each precision."""
    return {name: times(measured[f"published, {name}"], measured[f"ours, {name}"]) for name in names}


def _measured(
    subject: Subject,
    what: str,
    rounds: int,
    forms: Mapping[str, Callable],
    ready: Callable[[Callable, Context], Callable[[], None]],
) -> dict[str, Measured]:
    """Measure every form at every precision."""
    cases = [
        Case(f"{form}, {precision}", ready(run, context), len(subject.images))
        for form, run in forms.items()
        for precision, context in precisions(subject.device).items()
    ]
    return measure(f"{subject.label}: {what}", cases, subject.device, rounds)
