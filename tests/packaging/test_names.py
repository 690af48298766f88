"""One name, one thing."""

import ast
from collections import defaultdict

from tests.packaging.project import ROOT


def test_no_two_files_have_a_class_of_the_same_name():
    places = defaultdict(list)
    for path in sorted((ROOT / "src" / "lptpp").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.name)
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
