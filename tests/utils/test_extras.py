import json

import pytest

from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra


def test_a_module_that_is_there() -> None:
    assert extra("json", "some", "this test") is json


@pytest.mark.parametrize("module", ["no_such_module", "json.no_such_module"])
def test_a_module_that_is_missing_is_asked_for(module: str) -> None:
    with pytest.raises(UserError, match=r'^data\.source=x .*"lptpp\[some\]" \(No module'):
        extra(module, "some", "data.source=x")
