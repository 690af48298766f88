"""The settings that training depends on; others may change between the start of a run and a later command."""

from collections.abc import Mapping
from typing import Any

from lptpp.config.load import flat

FREE = (
    "run", "device", "workers", "tracker", "track_every", "keep_checkpoints", "checkpoint_minutes",
    "data.root", "data.memory_gb", "data.largest_megapixels",
    "tower_precision", "phase1.gradient_checkpointing", "phase2.gradient_checkpointing",
)  # fmt: skip
FREE_BELOW, TRAINS = "evaluation.", "evaluation.keep"


def trained_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that must not change, under dotted keys."""
    # runs from before there was a choice ended with the last epoch and cut no batch
    every = {TRAINS: "last", "shards": 1} | flat(settings)
    return {
        key: value for key, value in every.items() if key == TRAINS or not (key in FREE or key.startswith(FREE_BELOW))
    }
