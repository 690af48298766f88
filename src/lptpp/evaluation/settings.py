"""The settings in which compared runs differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lptpp.config.methods import fixed_settings
from lptpp.config.trained import trained_settings
from lptpp.config.validate import written
from lptpp.evaluation.compare import ComparedRun, distinct
from lptpp.utils.text import listed


def different_settings(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Yield a sentence with the settings that training depends on and that differ, except for the seed.

    What another method or other experts imply is left out.
    """
    found = [run.settings for run in runs if run.settings]
    shared = set.intersection(*(set(one["experts"]) for one in found)) if found else set()
    methods = {one["method"] for one in found}
    implied = {key for method in methods for key in fixed_settings(method, shared)} if len(methods) > 1 else set()
    rows = [_row(one, shared) for one in found]
    keys = sorted({key for row in rows for key in row} - implied, key=lambda key: (key.count("."), key))
    values = {key: distinct(written(row.get(key)) for row in rows) for key in keys}
    different = [f"{key} {' and '.join(texts)}" for key, texts in values.items() if len(texts) > 1]
    if different:
        yield f"Settings that differ: {listed(different, between='; ')}."


def _row(settings: Mapping[str, Any], shared: set[str]) -> dict[str, Any]:
    """Return settings under dotted keys: of experts, their names and the settings of those that all runs have."""
    experts = {name: expert for name, expert in settings["experts"].items() if name in shared}
    row = trained_settings({**settings, "seed": None, "use_experts": None, "experts": experts})
    return row | {"experts": f"[{','.join(settings['experts'])}]"}
