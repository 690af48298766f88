"""The tables of all trials: shares that load, by family, and the reason of each model that does not."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.backbones.trial import Trial

VITS = {  # timm's modules of ViTs whose blocks attend to all tokens
    *("vision_transformer", "vision_transformer_hybrid", "vision_transformer_relpos", "vision_transformer_sam"),
    *("deit", "beit", "eva", "naflexvit"),
}


class Share(NamedTuple):
    """How many of some models, or of their pretrained tags."""

    good: int
    all: int

    def __str__(self) -> str:
        return f"{self.good} of {self.all} ({100 * self.good / max(self.all, 1):.0f}%)"


def tables(trials: Sequence[Trial]) -> Iterator[str]:
    """Yield the lines of Markdown tables."""
    yield "| models | names | pretrained tags |"
    yield "| --- | --- | --- |"
    for title, chosen, good in groups(trials):
        yield f"| {title} | {names(chosen, good)} | {tags(chosen, good)} |"
    yield ""
    yield from _families(trials)
    yield ""
    yield from _reasons(trials)


def groups(trials: Sequence[Trial]) -> Iterator[tuple[str, list[Trial], Callable[[Trial], bool]]]:
    """Yield titles, trials, and whether a trial is one that the row counts."""
    vits = [one for one in trials if one.kind == "vision" and one.family in VITS]
    others = [one for one in trials if one.kind == "vision" and one.family not in VITS]
    clips = [one for one in trials if one.kind == "language"]
    yield "timm, ViTs: with prompts", vits, takes_prompts
    yield "timm, ViTs: as experts", vits, Trial.loads.fget
    yield "timm, others: with prompts", others, takes_prompts
    yield "timm, others: as experts", others, Trial.loads.fget
    yield "open_clip: with prompts", clips, takes_prompts
    yield "open_clip: as experts", clips, Trial.loads.fget


def takes_prompts(trial: Trial) -> bool:
    """Return whether the model loads and takes prompts."""
    return trial.loads and trial.no_prompts is None


def names(trials: Sequence[Trial], good: Callable[[Trial], bool]) -> Share:
    """Return the share of names; a name is good if it is at each of its input sizes."""
    bad = {_base(one) for one in trials if not good(one)}
    known = {_base(one) for one in trials}
    return Share(len(known - bad), len(known))


def tags(trials: Sequence[Trial], good: Callable[[Trial], bool]) -> Share:
    """Return the share of pretrained tags."""
    return Share(
        sum(len(one.tags) - len(one.refused) for one in trials if good(one)), sum(len(one.tags) for one in trials)
    )


def _base(trial: Trial) -> str:
    return trial.name.split(".")[0] if trial.kind == "vision" else trial.name


def _families(trials: Sequence[Trial]) -> Iterator[str]:
    """Yield a row for each family in which something takes prompts or does not load, and one for all others."""
    by_family: dict[str, list[Trial]] = {}
    for one in trials:
        title = one.family if one.kind == "vision" else f"open_clip, {one.family}"
        by_family.setdefault(title, []).append(one)
    plain = {title for title, found in by_family.items() if all(one.loads and one.no_prompts for one in found)}
    rest = [one for title in plain for one in by_family[title]]
    yield "| family | names | with prompts | as experts |"
    yield "| --- | --- | --- | --- |"
    rows = [(title, found) for title, found in sorted(by_family.items()) if title not in plain]
    for title, found in [*rows, (f"{len(plain)} more", rest)]:
        prompts, loads = names(found, takes_prompts), names(found, Trial.loads.fget)
        yield f"| {title} | {loads.all} | {prompts.good} | {loads.good} |"


def _reasons(trials: Sequence[Trial]) -> Iterator[str]:
    """Yield why ViTs take no prompts, and why models and tags do not load."""
    vits = [one for one in trials if one.family.removeprefix("timm: ") in VITS and one.loads and one.no_prompts]
    for one in vits:
        yield f"- no prompts: {one.name} {one.no_prompts}"
    for one in trials:
        if not one.loads:
            yield f"- not loaded: {one.name}: {one.failure}"
        yield from (f"- another name: {one.name} {reason}" for reason in one.refused)
