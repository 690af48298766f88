"""CSV cells that a spreadsheet would take for a formula, and back.

A text that begins with = + - @, their full-width forms, a tab or a line end gets an apostrophe in front, which
spreadsheets do not show (OWASP, "CSV Injection"); numbers with a sign do not. A text that has apostrophes in front of
such a beginning gets one more, so that `exact` undoes `escaped` for every text.
"""

import re
from typing import Any

NUMBER = r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
FORMULA = re.compile(rf"'*(?!{NUMBER})[=+\-@\t\r\n＝＋－＠]")


def escaped(cell: Any) -> Any:
    """Return a cell with an apostrophe in front if it is a text like a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def exact(text: str) -> str:
    """Return the text that `escaped` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
