"""The model card: what the model is, how good, on what data, and where it should not be trusted."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.backbones.base import BUNDLED
from lptpp.config import BackboneSettings, DataSettings, Settings
from lptpp.data.statistics import describe_shots, gini, imbalance_factor, shots
from lptpp.evaluation.intervals import untested
from lptpp.evaluation.table import COLUMNS, one_decimal
from lptpp.export.card_header import header

SHOWN = 5  # classes named at either end of the tail
Facts = Mapping[str, Any]


def model_card(name: str, settings: Settings, facts: Facts, metrics: Facts, license: str) -> str:
    """Return README.md of a shared model called `name`.

    `facts` holds class_names, counts and versions of the run, and data, the name of its data set; `metrics` holds what
    its metrics.json does.
    """
    sections = {
        "How to use it": _use(name),
        "How good it is": _results(metrics),
        "Data": _data(settings, facts, metrics),
        "Parts": _parts(settings, metrics),
        "Limits": _limits(facts, metrics),
        "Made with": [", ".join(f"{library} {version}" for library, version in facts["versions"].items()) + "."],
    }
    body = [f"# {plain_text(name)}", "", _what(settings, facts)]
    for title, lines in sections.items():
        body += ["", f"## {title}", "", *lines]
    return header(name, facts["data"], settings, metrics, license) + "\n".join(body) + "\n"


def data_name(data: DataSettings) -> str:
    """Return what to call a data set: its table, list or folder without the path, its name at a hub, or its source."""
    place = (data.root if data.source in ("folder", "huggingface") else data.train_list) or ""
    at_hub = data.source == "huggingface" and place.count("/") == 1 and not place.startswith(("/", "~", "."))
    if at_hub and not Path(place).exists():
        return place
    return Path(place).expanduser().resolve().name if place else data.source


def plain_text(value: object) -> str:
    """Return text that Markdown and HTML show as it is."""
    text = escape(" ".join(str(value).split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in text)


def table(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first row is its heading."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(plain_text(cell) for cell in row) + " |"
        if number == 0:
            yield "| " + " | ".join("---" for _ in row) + " |"


def _what(settings: Settings, facts: Facts) -> str:
    return (
        f"An image classifier for {len(facts['class_names'])} classes with a long tail, by the method"
        f" `{settings.method}` of [LPT++](https://arxiv.org/abs/2409.11323): prompts, adapters and a mixture of experts"
        " on frozen vision transformers. This repository holds what was tuned; the frozen backbones come from their own"
        " places, under their own licenses."
    )


def _use(name: str) -> list[str]:
    where = f"hf://{name}" if "/" in name else name
    return [
        "```python",
        "import lptpp  # pip install lptpp",
        "",
        f"model = lptpp.load({json.dumps(where, ensure_ascii=False)})",
        'model.predict("picture.jpg", top_k=3)  # [Prediction(label=..., probability=...), ...]',
        "```",
    ]


def _results(metrics: Facts) -> list[str]:
    low, high = metrics["shot_thresholds"]
    rows = [[name, *(one_decimal(row.get(key)) for key in COLUMNS)] for name, row in metrics["rows"].items()]
    return [
        f"Accuracy in % on the {metrics['split']} part of the data below ({metrics['images']:,} images, one seed,"
        f" {metrics['seed']}). The model answers as the row **{plain_text(metrics['result'])}**.",
        "",
        *table([["", *COLUMNS.values()], *rows]),
        "",
        f"Shots: {describe_shots((low, high))}. ECE is the calibration error, in points.",
    ]


def _data(settings: Settings, facts: Facts, metrics: Facts) -> list[str]:
    counts, names = np.array(facts["counts"]), facts["class_names"]
    kinds = shots(counts, (metrics["shot_thresholds"][0], metrics["shot_thresholds"][1]))
    order = np.argsort(-counts, kind="stable")
    ends = [*order[:SHOWN], *order[SHOWN:][-SHOWN:]]
    found = ", ".join(f"{(kinds == kind).sum()} {kind}-shot" for kind in ("many", "medium", "few"))
    return [
        f"{plain_text(facts['data'])} (source `{settings.data.source}`): {counts.sum():,} training images of"
        f" {len(names)} classes ({found}); imbalance factor {imbalance_factor(counts):.1f}, Gini {gini(counts):.2f}."
        " The largest and the smallest classes (`config.json` holds all):",
        "",
        *table([["Class", "Training images", "Shot"], *([names[i], f"{counts[i]:,}", kinds[i]] for i in ends)]),
    ]


def _parts(settings: Settings, metrics: Facts) -> list[str]:
    rows = [[name, expert.backbone.kind, _backbone(expert.backbone)] for name, expert in settings.experts.items()]
    return [
        *table([["Expert", "Kind", "Frozen backbone"], *rows]),
        "",
        f"Tuned: {metrics['tuned_parameters']:,} parameters beside {metrics['backbone_parameters']:,} of the backbones"
        f" ({metrics['tuned_share_percent']:.1f} %).",
    ]


def _backbone(backbone: BackboneSettings) -> str:
    weights = ", which ships with lptpp" if backbone.name in BUNDLED.values() else ""
    weights = f", {backbone.weights}" if backbone.weights else weights
    return f"{backbone.name}{weights}" + (f", at {backbone.image_size} pixels" if backbone.image_size else "")


def _limits(facts: Facts, metrics: Facts) -> list[str]:
    message = untested(metrics)
    result, untrained = metrics["rows"][metrics["result"]], sum(count == 0 for count in facts["counts"])
    few, error = result.get("few"), result.get("calibration_error")
    outputs = [
        "It answers every picture with one of its classes, also a picture of something else.",
        "The numbers above are of pictures from the same collection; expect less on pictures from elsewhere.",
        f"Of pictures of few-shot classes it gets {one_decimal(few)} % right." if few is not None else "",
        f"Its probabilities are off by {one_decimal(error)} points on average." if error is not None else "",
        f"{untrained} of its classes had no training image." if untrained else "",
        f"Classes without a picture to be tested on, of which nothing is known: {plain_text(message)}."
        if message
        else "",
        "Whatever is uneven or unfair in the training pictures, or in what the backbones were pretrained on, is in it.",
    ]
    return [f"- {line}" for line in outputs if line]
