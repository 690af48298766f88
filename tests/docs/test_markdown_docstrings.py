import docutils.core
import pytest
from markdown_docstrings import escaped

LINES = {
    "a `name`": "a ``name``",
    "`a|b` and ``c`` and |d|": "``a|b`` and ``c`` and \\|d\\|",
    "− a·|ε|·δ_c − m·[c = y]": "− a·\\|ε\\|·δ_c − m·[c = y]",
    "x_ *args": "x\\_ \\*args",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_escaped(line):
    assert escaped(line) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_restructured_text_reads_it_as_it_was_meant(line, capsys):
    tree = docutils.core.publish_doctree(escaped(line), settings_overrides={"report_level": 1})
    assert tree.astext() == line.replace("`", "")
    assert capsys.readouterr().err == ""
