"""Sentences that users read, one file a surface: `LPTPP_GOLDEN=write pytest` writes the files again."""

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(surface: str, text: str) -> None:
    """Fail with a difference where `text` is not what tests/golden/SURFACE.txt holds."""
    path = FOLDER / f"{surface}.txt"
    if os.environ.get("LPTPP_GOLDEN") == "write":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    difference = difflib.unified_diff(kept.splitlines(), text.splitlines(), str(path), "now", lineterm="")
    assert kept == text, "\n".join(difference)
