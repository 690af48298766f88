"""Sentences on the use of the group prompts, for the report and the terminal; from `groups` in metrics.json."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lptpp.evaluation.table import CONTROLS
from lptpp.report.text import signed

CREDIT = "Gain of the selected groups over the control rows, with the same classifier:"
SET_NAMES = {2: "pairs", 3: "triples"}


def usage(use: Mapping[str, Any]) -> str:
    """Return how many groups of an expert, and how many sets of them, the images use, and how evenly."""
    number, top_k = use["num_groups"], use["top_k"]
    text = (
        f"{use['used_groups']} of {number} groups are used, equivalent to {use['effective_groups']:.1f} equally used"
        f" groups; each image selects {top_k}."
    )
    if top_k == 1:
        return text
    sets = SET_NAMES.get(top_k, f"sets of {top_k}")
    return (
        f"{text} {use['used_sets']:,} of {math.comb(number, top_k):,} possible {sets} occur, equivalent to"
        f" {use['effective_sets']:.1f} equally used {sets}."
    )


def unused(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each expert that uses fewer than half of its groups."""
    for name, use in groups.items():
        if 2 * use["used_groups"] < use["num_groups"]:
            yield (
                f"{name} uses {use['used_groups']} of its {use['num_groups']} prompt groups, fewer than half: consider"
                f" a smaller experts.{name}.num_groups."
            )


def credits(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the selected groups gain over each control row of each expert; empty without control rows."""
    found = [
        f"{name}: {'; '.join(_gain(control, **gain) for control, gain in use['gain_over'].items())}."
        for name, use in groups.items()
        if use["gain_over"]
    ]
    return " ".join([CREDIT, *found]) if found else ""


def _gain(control: str, overall: Mapping[str, Any], few: Mapping[str, Any] | None) -> str:
    text = f"{signed(overall['points'])} points over {CONTROLS[f'phase2_{control}']} ({_interval(overall)})"
    return text if few is None else f"{text}, few-shot {signed(few['points'])} ({_interval(few)})"


def _interval(gain: Mapping[str, Any]) -> str:
    low, high = gain["interval"]
    verdict = "" if low > 0 or high < 0 else ", not significant"
    return f"95% interval {signed(low)} to {signed(high)}{verdict}"
