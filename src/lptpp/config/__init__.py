"""Typed settings of a run, from presets, files and the command line; importing them does not import torch."""

from lptpp.config.load import flat, load_settings, read_yaml, run_settings, saved_settings, to_dictionary, to_yaml
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
    "run_settings",
    "saved_settings",
    "to_dictionary",
    "to_yaml",
]
