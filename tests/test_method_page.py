"""docs/method.md leads from each formula to the file that computes it."""

import re

import lptpp.training.loop as loop
from lptpp.models import block, encoder
from lptpp.training import dual_sampling, phases, scorer_phase
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
NAMES = {
    "adapted_block": block,
    "AdaptedEncoder": encoder,
    "ExpertTask": dual_sampling,
    "shared_phase": phases,
    "group_phase": phases,
    "scorer_phase": scorer_phase,
    "dual_weight": dual_sampling,
    "add_gradients": loop,
}


def test_every_path_exists_and_its_text_says_which_file_it_is() -> None:
    links = re.findall(r"\[`([^`]+)`\]\(\.\./([^)]+)\)", PAGE)
    assert len(links) > 20
    for text, path in links:
        assert (ROOT / path).is_file(), path
        assert path.endswith(f"/{text}"), (text, path)


def test_every_section_names_a_file_and_every_name_exists() -> None:
    for section in PAGE.split("\n## ")[1:]:
        assert "](../src/lptpp/" in section, section.splitlines()[0]
    for name, module in NAMES.items():
        assert f"`{name}" in PAGE and hasattr(module, name), name
