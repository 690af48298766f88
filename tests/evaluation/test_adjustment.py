import numpy as np
import pytest
import torch

from lptpp.config import EvaluationSettings
from lptpp.evaluation.table import MIXTURE, ResultRow
from lptpp.evaluation.tta import Adjustment, adjustment, options, rows_of

PRIORS = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])


def seen() -> torch.Tensor:
    """Return the probabilities of 4 pictures in 5 views over 3 classes."""
    return torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5)))


def literal(views: np.ndarray, temperature: float, priors) -> np.ndarray:
    result = []
    for picture in views:  # (V, C)
        mean = [sum(view[c] for view in picture) / len(picture) for c in range(3)]
        scores = [mean[c] ** (1 / temperature) for c in range(3)]
        scores = [scores[c] / sum(scores) * priors[0][c] / priors[1][c] for c in range(3)]
        result.append([score / sum(scores) for score in scores])
    return np.array(result)


def test_views_are_averaged_then_tempered_then_reweighed():
    found = Adjustment("five_crops", 1.7, PRIORS)(seen())
    np.testing.assert_allclose(found.numpy(), literal(seen().numpy(), 1.7, PRIORS), rtol=1e-6)


def test_without_options_the_plain_view_is_left_as_it_is():
    assert torch.equal(Adjustment()(seen()), seen()[:, 0])


def test_rows_show_each_part_alone_and_all_together():
    asked = EvaluationSettings(views="five_crops", temperature="fitted", prior="here/expected.csv")
    whole = Adjustment("five_crops", 1.7, PRIORS)
    rows = rows_of(asked, whole, MIXTURE)
    assert rows == {
        ResultRow("mixture", views="five_crops"): Adjustment(views="five_crops"),
        ResultRow("mixture", temperature="fitted"): Adjustment(temperature=1.7),
        ResultRow("mixture", prior="expected.csv"): Adjustment(priors=PRIORS),
        ResultRow("mixture", views="five_crops", temperature="fitted", prior="expected.csv"): whole,
    }


@pytest.mark.parametrize(
    "asked, keys", [({}, []), ({"views": "flip"}, ["visual.phase2.flip"]), ({"temperature": "1.0"}, [])]
)
def test_what_is_off_has_no_row(asked, keys):
    settings = EvaluationSettings(**asked)
    whole = Adjustment(settings.views, float(settings.temperature))
    assert [str(row) for row in rows_of(settings, whole, ResultRow("phase2", "visual"))] == keys


def test_the_settings_become_an_adjustment(settings_of, tmp_path):
    names, counts = ["a", "b"], np.array([3, 1])
    asked = ["evaluation.views=flip", "evaluation.prior=training", "evaluation.temperature=fitted"]
    found = adjustment(settings_of(tmp_path, *asked), names, counts, lambda: 1.25)
    assert (found.views, found.temperature) == ("flip", 1.25)
    np.testing.assert_allclose(found.priors, [[0.75, 0.25], [0.5, 0.5]])

    def never() -> float:
        raise AssertionError

    assert adjustment(settings_of(tmp_path, "evaluation.temperature=2.5"), names, counts, never).temperature == 2.5
    assert adjustment(settings_of(tmp_path), names, counts, never) == Adjustment()


def test_the_options_are_named_as_the_settings_are():
    assert options(EvaluationSettings()) == {"views": "one", "prior": None, "assumed": "auto", "temperature": "1"}
