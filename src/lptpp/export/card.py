"""The model card of a shared run: what the model is, how accurate, on which data, and what its limits are."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.backbones.card_files import BUNDLED
from lptpp.config import BackboneSettings, DataSettings, Settings
from lptpp.data.statistics import SHOTS, describe_shots, gini, imbalance_factor, shots
from lptpp.evaluation.findings import accuracy_text, leaning
from lptpp.evaluation.intervals import untested
from lptpp.evaluation.parameters import parameters
from lptpp.evaluation.table import COLUMNS, ResultRow, one_decimal
from lptpp.utils.extras import extra

SHOWN = 5  # classes listed at each end of the class distribution
TAGS = ["image-classification", "long-tailed-recognition", "class-imbalance", "prompt-tuning", "mixture-of-experts"]
TEMPLATE = """---
{{ card_data }}
---

# {{ title }}

An image classifier for {{ classes }} classes with a long-tailed distribution, trained by the method `{{ method }}` of \
[LPT++](https://arxiv.org/abs/2409.11323): prompts, adapters and a mixture of experts on frozen vision transformers. \
This repository contains the trained parameters only; the frozen backbones are loaded from their own sources, under \
their own licenses.

## Usage

```python
import lptpp  # pip install lptpp

model = lptpp.load({{ location }})
model.predict("image.jpg", top_k=3)  # [Prediction(label=..., probability=...), ...]
```

## Results

{{ results }}

## Training data

{{ data }}

## Experts

{{ experts }}

## Limitations

{{ limitations }}

## Versions

{{ versions }}
"""
Facts = Mapping[str, Any]


def model_card(name: str, settings: Settings, facts: Facts, metrics: Facts, license: str) -> str:
    """Return README.md of a shared model called `name`.

    `facts` has class_names, counts and versions of the run, and data, the name of its data set; `metrics` is the
    content of metrics.json.

    Raises:
        UserError: the extra `hub` is not installed.
    """
    hub = extra("huggingface_hub", "hub", "lptpp export --to huggingface")
    card = hub.ModelCard.from_template(
        _card_data(hub, name, settings, facts["data"], metrics, license),
        template_str=TEMPLATE,
        title=plain_text(name),
        classes=len(facts["class_names"]),
        method=settings.method,
        location=json.dumps(f"hf://{name}" if "/" in name else "path/to/this/folder", ensure_ascii=False),
        results="\n".join(_results(metrics)),
        data="\n".join(_data(settings, facts, metrics)),
        experts="\n".join(_experts(settings, metrics)),
        limitations="\n".join(f"- {line}" for line in _limitations(facts, metrics)),
        versions=", ".join(f"{library} {version}" for library, version in facts["versions"].items()) + ".",
    )
    return f"{str(card).rstrip()}\n"


def data_name(data: DataSettings) -> str:
    """Return the name of a data set: its table, list or folder without the path, its hub name, or its source."""
    place = (data.root if data.source in ("folder", "huggingface") else data.train_list) or ""
    at_hub = data.source == "huggingface" and place.count("/") == 1 and not place.startswith(("/", "~", "."))
    if at_hub and not Path(place).exists():
        return place
    return Path(place).expanduser().resolve().name if place else data.source


def plain_text(value: object) -> str:
    """Escape a text for Markdown and HTML."""
    text = escape(" ".join(str(value).split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in text)


def table(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first row is the header."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(plain_text(cell) for cell in row) + " |"
        if number == 0:
            yield "| " + " | ".join("---" for _ in row) + " |"


def _card_data(hub: Any, name: str, settings: Settings, data: str, metrics: Facts, license: str) -> Any:
    """Return the metadata block as `huggingface_hub.ModelCardData`."""
    backbones = [expert.backbone for expert in settings.experts.values()]
    return hub.ModelCardData(
        model_name=name,
        license=license,
        library_name="lptpp",
        pipeline_tag="image-classification",
        tags=[settings.method, *TAGS],
        base_model=list(dict.fromkeys(filter(None, map(_hub_name, backbones)))) or None,
        eval_results=_eval_results(hub, settings, data, metrics) or None,
    )


def _eval_results(hub: Any, settings: Settings, data: str, metrics: Facts) -> list[Any]:
    result = metrics["rows"][metrics["result"]]
    measured = {"accuracy": result["overall"], "mean class accuracy": result["mean_class"]}
    return [
        hub.EvalResult(
            task_type="image-classification",
            dataset_type=settings.data.source,
            dataset_name=data,
            dataset_split=metrics["split"],
            metric_type="accuracy",
            metric_name=name,
            metric_value=round(value, 2),
        )
        for name, value in measured.items()
        if value is not None
    ]


def _hub_name(backbone: BackboneSettings) -> str | None:
    """Return the name of a backbone on the Hugging Face Hub, None if it is not there."""
    if backbone.name in BUNDLED.values() or (backbone.weights or "").endswith(".safetensors"):
        return None
    if backbone.kind == "vision":
        return f"timm/{backbone.name}"
    from open_clip.pretrained import get_pretrained_cfg

    return get_pretrained_cfg(backbone.name, backbone.weights).get("hf_hub", "").rstrip("/") or None


def _results(metrics: Facts) -> list[str]:
    rows = [
        [ResultRow.parse(name).title, *(one_decimal(row.get(key)) for key in COLUMNS)]
        for name, row in metrics["rows"].items()
    ]
    result = ResultRow.parse(metrics["result"]).title
    return [
        f"Accuracy in % on the {metrics['split']} split ({metrics['images']:,} images, seed"
        f" {metrics['seed']}, one run). The model predicts as the row **{plain_text(result)}**.",
        "",
        *table([["", *COLUMNS.values()], *rows]),
        "",
        f"Shot thresholds: {describe_shots(metrics['shot_thresholds'])}."
        " ECE is the expected calibration error in percentage points.",
    ]


def _data(settings: Settings, facts: Facts, metrics: Facts) -> list[str]:
    counts, names = np.array(facts["counts"]), facts["class_names"]
    kinds = shots(counts, metrics["shot_thresholds"])
    order = np.argsort(-counts, kind="stable")
    ends = [*order[:SHOWN], *order[SHOWN:][-SHOWN:]]
    found = ", ".join(f"{(kinds == kind).sum()} {kind}-shot" for kind in SHOTS)
    return [
        f"{plain_text(facts['data'])} (source `{settings.data.source}`): {counts.sum():,} training images in"
        f" {len(names)} classes ({found}); imbalance factor {imbalance_factor(counts):.1f}, Gini {gini(counts):.2f}."
        " The largest and the smallest classes (`config.json` lists all):",
        "",
        *table([["Class", "Training images", "Shot"], *([names[i], f"{counts[i]:,}", kinds[i]] for i in ends)]),
    ]


def _experts(settings: Settings, metrics: Facts) -> list[str]:
    rows = [[name, expert.backbone.kind, _backbone(expert.backbone)] for name, expert in settings.experts.items()]
    return [
        *table([["Expert", "Kind", "Frozen backbone"], *rows]),
        "",
        f"Parameters: {parameters(metrics)}.",
    ]


def _backbone(backbone: BackboneSettings) -> str:
    weights = ", bundled with lptpp" if backbone.name in BUNDLED.values() else ""
    weights = f", {backbone.weights}" if backbone.weights else weights
    return f"{backbone.name}{weights}" + (f", {backbone.image_size} pixels" if backbone.image_size else "")


def _limitations(facts: Facts, metrics: Facts) -> Iterator[str]:
    result, untrained = metrics["rows"][metrics["result"]], sum(count == 0 for count in facts["counts"])
    yield "The model assigns one of its classes to every image, including images of something else."
    yield "The accuracy above is for images from the same data set; expect less on images from other sources."
    if (few := result.get("few")) is not None:
        yield f"The accuracy on few-shot classes is {accuracy_text(few, metrics['tested']['few']['images'])}."
    if (error := result.get("calibration_error")) is not None:
        mean, accuracy, images = metrics["mean_probability"], result["overall"], metrics["images"]
        yield (
            f"The probabilities are off by {one_decimal(error)} percentage points on average: their mean is"
            f" {one_decimal(mean)}%, the accuracy {accuracy_text(accuracy, images)}, so they are"
            f" {leaning(mean, accuracy, images)}."
        )
    if untrained:
        yield f"Classes without training images: {untrained}."
    if classes := untested(metrics):
        yield f"Classes without test images, whose accuracy is unknown: {plain_text(classes)}."
    yield "Biases in the training images and in the pretraining data of the backbones carry over to the model."
