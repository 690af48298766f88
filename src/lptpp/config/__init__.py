"""The typed settings of a run."""

from lptpp.config.load import flat, load_settings, read_yaml, saved_settings, to_dictionary, to_yaml
from lptpp.config.schema import (
    AugmentationSettings,
    BackboneSettings,
    DataSettings,
    EvaluationSettings,
    ExpertSettings,
    LossSettings,
    PhaseSettings,
    ScorerSettings,
    Settings,
    StreamSettings,
    default_experts,
)

__all__ = [
    "AugmentationSettings",
    "BackboneSettings",
    "DataSettings",
    "EvaluationSettings",
    "ExpertSettings",
    "LossSettings",
    "PhaseSettings",
    "ScorerSettings",
    "Settings",
    "StreamSettings",
    "default_experts",
    "flat",
    "load_settings",
    "read_yaml",
    "saved_settings",
    "to_dictionary",
    "to_yaml",
]
