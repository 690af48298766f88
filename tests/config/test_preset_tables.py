"""The table in the header of a preset: its settings, their values, and who published them."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from lptpp.config import load_settings, to_dictionary
from lptpp.config.load import flat
from lptpp.config.resolve import FOLDER, header

SHIPPED = sorted(FOLDER.glob("*.yaml"))
TITLE = ["setting", "value", "published by"]
LISTED = ("augmentation", "experts", "phase1", "phase2", "phase3", "evaluation.shot_thresholds")
IN_THE_FILE = "..."  # instead of a long value
SOURCES = ("LPT", "LPT++", "AdaptFormer (arXiv 2205.13535)", "-")


def table(path: Path) -> list[list[str]]:
    """Return the rows of the table, [setting, value, source] each; none without a table."""
    rows = [[cell.strip() for cell in line[4:].split("  ") if cell.strip()] for line in header(path)]
    if TITLE not in rows:
        return []
    below = rows[rows.index(TITLE) + 1 :]
    return below[: below.index([])]


def wrong(rows: list[list[str]], settings: dict[str, object]) -> list[str]:
    """Return the rows that do not give the value of the settings, by dotted key, that they name."""
    found = []
    for pattern, value, _ in rows:
        named = [settings[key] for key in settings if fnmatchcase(key, pattern)]
        expected = named if value == IN_THE_FILE else [yaml.safe_load(value)] * len(named)
        if not named or named != expected:
            found.append(f"{pattern} is {named}, not {value}")
    return found


def missing(rows: list[list[str]], own: dict[str, object]) -> list[str]:
    """Return the settings of a file, by dotted key, that no row names."""
    listed = [key for key in own if key.startswith(LISTED) and not key.endswith("backbone.kind")]
    return [key for key in listed if not any(fnmatchcase(key, pattern) for pattern, _, _ in rows)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_table_gives_the_values_of_the_file(path: Path):
    assert wrong(table(path), flat(to_dictionary(load_settings(path, ["method=lptpp"])))) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_table_has_every_setting_of_the_method_that_the_file_sets(path: Path):
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert missing(table(path), flat(content)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_row_says_who_published_the_value_and_the_header_explains_the_names(path: Path):
    legend = " ".join(line[2:] for line in header(path) if not line.startswith("#   "))  # what is no row
    for _, value, source in table(path):
        name = source.split(": ")[0]
        assert name in SOURCES
        assert "(" in name or f"{name}: " in legend
        assert value != IN_THE_FILE or name == "-"


@pytest.mark.parametrize("name", ["lpt_base", "vit_base", "cifar100_lt", "emoji"])
def test_the_table_lists_published_and_chosen_values(name: str):
    sources = {source[:3] for _, _, source in table(FOLDER / f"{name}.yaml")}
    assert {"LPT", "-"} <= {source.rstrip(":") for source in sources}


def test_a_wrong_table_is_found():
    rows = [["phase[12].epochs", "3", "-"], ["experts.*.top_k", "2", "LPT"], ["seed", "0", "-"]]
    settings = {"phase1.epochs": 3, "phase2.epochs": 4, "experts.visual.top_k": 2, "phase1.dropout": 0.1}
    assert wrong(rows, settings) == ["phase[12].epochs is [3, 4], not 3", "seed is [], not 0"]
    assert missing(rows, settings) == ["phase1.dropout"]
