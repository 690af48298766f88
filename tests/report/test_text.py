import numpy as np
import pytest

from lptpp.report.sections.learning import losses
from lptpp.report.text import breakable, percent, shortened, signed
from lptpp.utils.text import counted


@pytest.mark.parametrize(
    "value, decimals, text",
    [(12.34, 1, "12.3%"), (0.3, 0, "<1%"), (0.004, 2, "<0.01%"), (0, 2, "0.00%"), (None, 0, "–"), (np.nan, 0, "–")],
)
def test_percent(value: float | None, decimals: int, text: str) -> None:
    assert percent(value, decimals) == text.replace(" ", "\u00a0")


def test_numbers_and_names() -> None:
    assert (signed(-1.26), signed(2, 0), signed(0.0)) == ("−1.3", "+2", "+0.0")
    assert (counted(1, "image"), counted(1200, "image")) == ("1 image", "1,200 images")
    assert (shortened("abc", 3), shortened("ab cdef", 4), shortened("a\n\x07\u3000b", 9)) == ("abc", "ab…", "a � b")


def test_names_break_after_underscores_and_stay_text() -> None:
    assert str(breakable("red_<i>_")) == "red_<wbr>&lt;i&gt;_<wbr>"


def test_a_loss_below_zero_has_a_typographic_minus() -> None:
    found = losses({"visual": [{"loss": "0.204"}, {"loss": "-0.05"}]})
    assert found == "Loss in the first and the last epoch: 0.20 and −0.05."
