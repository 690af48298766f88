"""Every number in the settings has finite limits, which are those of its field."""

import math
from dataclasses import fields, is_dataclass

import pytest

from lptpp.config.choices import ANY, NOT_NEGATIVE, Range
from lptpp.config.load import load_settings
from lptpp.config.schema import ExpertSettings, Settings
from lptpp.utils.errors import UserError

FREE = {"seed", "split_seed", "shot_thresholds", "options"}  # any seed; counts that a check compares; as the loss says


def numbers(settings: object, path: str = "") -> dict[str, Range | None]:
    found: dict[str, Range | None] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            found |= numbers(value, f"{path}{one.name}.")
        elif one.type in ("int", "float", "int | None", "float | None", int, float, int | None, float | None):
            found[f"{path}{one.name}"] = one.metadata["within"]
    return found


NUMBERS = numbers(Settings()) | numbers(ExpertSettings(), "experts.visual.")


def test_every_number_has_finite_limits():
    open_ended = [
        key
        for key, within in NUMBERS.items()
        if key.split(".")[-1] not in FREE
        and (within is None or not (math.isfinite(within.least) and math.isfinite(within.most)))
    ]
    assert len(NUMBERS) > 50
    assert open_ended == []


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_range_has_a_number_that_is_not_finite(value):
    assert not any(value in within for within in (ANY, NOT_NEGATIVE, Range(-1, 1)))


@pytest.mark.parametrize(
    "override",
    [
        "experts.visual.num_groups=1000000000",
        "experts.visual.backbone.image_size=1000000",
        "experts.visual.scale=1e38",
        "experts.visual.scale=.nan",
        "phase1.warmup_epochs=.inf",
        "phase1.learning_rate=.inf",
        "phase1.main.loss.options.tau=.inf",
        "phase3.hidden=1000000000",
        "workers=100000",
    ],
)
def test_what_is_out_of_range_is_refused_by_its_key(override):
    key = override.split("=")[0]
    with pytest.raises(UserError, match=rf"^{key.replace('.', '[.]')}=.*: expected "):
        load_settings("emoji", [override])
