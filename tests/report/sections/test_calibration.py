"""The table of thresholds against a loop, and the sentence on how many images it rests on."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.sections.calibration import THRESHOLDS, rejection
from tests.report.made import make_run


def wilson(right: int, images: int) -> str:
    """Return the interval as printed, from the formula."""
    z, share = norm.ppf(0.975), right / images
    middle, half = share + z**2 / (2 * images), z * np.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    low, high = (100 * (middle + sign * half) / (1 + z**2 / images) for sign in (-1, 1))
    return f"{low:.1f} to {high:.1f}%"


def test_each_threshold_has_its_images_errors_and_interval(run: EvaluatedRun) -> None:
    of = run.predictions
    probability, right = of.confidence[run.result], of.predicted[run.result] == of.labels
    for threshold, row in zip(THRESHOLDS, rejection(run).rows, strict=True):
        kept = [bool(one) for one, sure in zip(right, probability, strict=True) if sure >= threshold]
        shown = [cell.text for cell in row]
        assert shown[0] == f"{threshold:.2f}"
        assert shown[2:4] == [str(len(kept)), str(kept.count(False))]
        assert shown[5] == wilson(sum(kept), len(kept))


@pytest.mark.parametrize(("tested", "few"), [(3, True), (250, False)])
def test_a_table_that_rests_on_few_images_says_so(tmp_path: Path, tested: int, few: bool) -> None:
    run = gather(make_run(tmp_path / "run", [50, 5], tested=tested))
    wrong = (run.predictions.predicted[run.result] != run.predictions.labels).sum()
    caption = rejection(run).caption
    assert f"rests on {2 * tested} images of the test split with {wrong} errors" in caption
    assert ("too few to promise an accuracy" in caption) == few
