"""Docstrings are written as people read them in an editor; Sphinx takes them for reStructuredText."""

import re
from typing import Any

CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)


def escaped(line: str) -> str:
    """Return a line with `code` as reStructuredText has it, and |, * and _ elsewhere as themselves."""
    parts, end = [], 0
    for code in CODE.finditer(line):
        parts += [_plain(line[end : code.start()]), f"``{code[2]}``"]
        end = code.end()
    return "".join([*parts, _plain(line[end:])])


def _plain(text: str) -> str:
    return re.sub(r"([|*]|_(?!\w))", r"\\\1", text)


def setup(app: Any) -> dict[str, bool]:
    """Change each docstring before napoleon reads its sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True}


def _process(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    lines[:] = "\n".join(map(escaped, lines)).split("\n")
