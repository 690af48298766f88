"""Which settings of a run may differ when it resumes."""

from typing import Any

import pytest

from lptpp.checkpoint.identity import check_settings
from lptpp.config import load_settings, to_dictionary
from lptpp.utils.errors import UserError


def trained(preset: str, **visual: Any) -> dict[str, Any]:
    """Return a manifest with other settings of the visual expert."""
    settings = to_dictionary(load_settings(preset))
    del settings["experts"]["visual"]["mean_images"]
    settings["experts"]["visual"] |= visual
    return {"settings": settings}


@pytest.mark.parametrize(
    ("preset", "before"),
    [
        ("emoji", {"mean_images": 0, "mean_sample": 0}),
        ("emoji", {"mean_images": 0}),
        ("emoji", {"mean_images": "0"}),
        ("folder", {"mean_images": 0, "mean_sample": 1000}),
    ],
)
def test_a_run_resumes_with_the_one_setting_that_says_what_two_said(preset, before, tmp_path):
    check_settings(trained(preset, **before), load_settings(preset), tmp_path)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ({"mean_images": 3, "mean_sample": 1000}, "mean_images: 3 in the folder, auto requested"),
        ({"mean_images": 0, "mean_sample": 500}, "mean_images: 500 in total in the folder, auto requested"),
        ({"mean_images": 0, "mean_sample": 0}, "mean_images: 0 in the folder, auto requested"),
    ],
)
def test_a_run_with_other_images_of_the_class_means_is_refused(before, message, tmp_path):
    with pytest.raises(UserError, match=f"experts.visual.{message}"):
        check_settings(trained("folder", **before), load_settings("folder"), tmp_path)
