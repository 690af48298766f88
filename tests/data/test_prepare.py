"""What is known of a run's images before its backbones are loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lptpp.config import Settings
from lptpp.data.prepare import decoding, preprocessings
from lptpp.data.sizes import FULL, enough
from lptpp.models.build import build_mixture

OWN = "experts.visual.backbone."
CHANGES = [
    "data.resize=pad",
    "data.resize=squash",
    f"{OWN}image_size=96",
    f"{OWN}resize=squash",
    f"{OWN}crop_share=0.875",
]


@pytest.mark.parametrize("change", ["seed=0", *CHANGES])
def test_the_preprocessing_is_that_of_the_experts(
    change: str, settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, change, "augmentation.smallest_crop=0.25", "data.white_level=1023")
    experts = build_mixture(settings, 4).experts
    assert preprocessings(settings) == {name: one.backbone.preprocessing for name, one in experts.items()}
    how = decoding(settings)
    assert how.enough == enough(preprocessings(settings).values(), 0.25)
    assert (how.largest_megapixels, how.white) == (50, 1023)
    assert decoding(settings, {}).enough == FULL
