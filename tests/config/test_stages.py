"""The keys of stages: their text seeds random streams and names history rows, so it is fixed."""

import pytest

from lptpp.config.stages import SCORER, StageKey


@pytest.mark.parametrize("text", ["visual/phase1", "my expert/phase2", "a/phase1/phase2", "mixture/phase3"])
def test_text_and_key_are_the_same_both_ways(text):
    key = StageKey.parse(text)
    assert str(key) == f"{key}" == text
    assert text == f"{key.owner}/{key.settings_key}"


def test_the_scorer_has_one_key():
    assert StageKey.parse("mixture/phase3") == SCORER == StageKey("mixture", 3)
