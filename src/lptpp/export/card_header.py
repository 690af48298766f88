"""The machine-readable top of a model card: what the hub sorts and shows models by."""

from collections.abc import Mapping
from typing import Any

from lptpp.backbones.base import BUNDLED
from lptpp.config import BackboneSettings, Settings
from lptpp.utils.extras import extra

TAGS = ["image-classification", "long-tailed-recognition", "class-imbalance", "prompt-tuning", "mixture-of-experts"]


def header(name: str, data_name: str, settings: Settings, metrics: Mapping[str, Any], license: str) -> str:
    """Return the YAML block of a card: license, tags, backbones, and the two accuracies of the answer."""
    hub = extra("huggingface_hub", "hub", "lptpp export --to huggingface")
    result = metrics["rows"][metrics["result"]]
    measured = {"accuracy": result["overall"], "mean_class_accuracy": result["mean_class"]}
    results = [
        hub.EvalResult(
            task_type="image-classification",
            dataset_type=settings.data.source,
            dataset_name=data_name,
            dataset_split=metrics["split"],
            metric_type="accuracy",
            metric_name=kind.replace("_", " "),
            metric_value=round(value, 2),
        )
        for kind, value in measured.items()
        if value is not None
    ]
    backbones = [expert.backbone for expert in settings.experts.values()]
    data = hub.ModelCardData(
        model_name=name,
        license=license,
        library_name="lptpp",
        pipeline_tag="image-classification",
        tags=[settings.method, *TAGS],
        base_model=list(dict.fromkeys(filter(None, map(_at_hub, backbones)))) or None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _at_hub(backbone: BackboneSettings) -> str | None:
    """Return the name of a backbone at the hub, where it is known."""
    if backbone.name in BUNDLED.values() or (backbone.weights or "").endswith(".safetensors"):
        return None
    if backbone.kind == "vision":
        return f"timm/{backbone.name}"
    from open_clip.pretrained import get_pretrained_cfg

    return get_pretrained_cfg(backbone.name, backbone.weights).get("hf_hub", "").rstrip("/") or None
