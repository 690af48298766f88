"""Names in the settings and the code behind them agree; importing the settings needs none of that code."""

import inspect
import math
import subprocess
import sys

import pytest
from torch import nn

from lptpp.config.choices import (
    ALL_SOURCES,
    LOSS_OPTIONS,
    MIX_NAMES,
    RESERVED,
    SAMPLER_NAMES,
    SOURCE_NAMES,
    SOURCE_SETTINGS,
    VIEW_NAMES,
    Range,
    check_loss,
)
from lptpp.config.resolve import FOLDER
from lptpp.data.sources import SOURCES
from lptpp.inference.views import VIEWS
from lptpp.losses import LOSSES, option_names
from lptpp.models.scorer import MIXES
from lptpp.samplers import SAMPLERS
from lptpp.utils.errors import UserError

HEAVY = {"torch", "timm", "open_clip", "numpy", "accelerate", "PIL", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    "names, table", [(SAMPLER_NAMES, SAMPLERS), (SOURCE_NAMES, SOURCES), (MIX_NAMES, MIXES), (VIEW_NAMES, VIEWS)]
)
def test_names_are_those_of_the_code(names, table):
    assert list(names) == list(table)


def test_the_settings_that_a_source_reads_are_its_arguments():
    read = {name: set(inspect.signature(source).parameters) - ALL_SOURCES for name, source in SOURCES.items()}
    assert read == SOURCE_SETTINGS


def test_losses_and_their_options_are_those_of_the_code():
    assert {name: list(options) for name, options in LOSS_OPTIONS.items()} == {
        name: option_names(loss) for name, loss in LOSSES.items()
    }


def test_reserved_names_are_all_attributes_of_a_module_dictionary():
    assert {name for name in dir(nn.ModuleDict()) if not name.startswith("_")} <= RESERVED


@pytest.mark.parametrize(
    "within, inside, outside",
    [
        (Range(1), [1, 2.5], [0.9, -1, math.nan, math.inf]),
        (Range(0, 1), [0, 0.5, 1], [-0.1, 1.1, math.nan]),
        (Range(0, 1, below=True), [0, 0.999], [1, -0.1]),
        (Range(), [-1e9, 1e9], [math.nan]),
    ],
)
def test_a_range(within, inside, outside):
    assert all(value in within for value in inside)
    assert not any(value in within for value in outside)


def test_a_loss_is_checked_by_its_key():
    check_loss("class_balanced", {"beta": 0.999})
    for options, key in (({"beta": 1.0}, "here.options.beta=1.0"), ({"bta": 0.5}, "here.options.bta")):
        with pytest.raises(UserError, match=key):
            check_loss("class_balanced", options, "here")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["presets"],
        ["fit", "emoji", "phase1.epoch=3"],
        ["fit", "emoji", "phase1.epochs=0"],
        ["fit", "emoji", "phase2.main.loss.options.margn=1"],
        ["fit", "emoij"],
        ["data", "emoji", "data.source=foldr"],
        ["sweep", "emoji", "--space", "lptp"],
        ["sweep", "emoji", "--space", "lptpp", "method=ltp"],
        ["evaluate", str(FOLDER)],
    ],
    ids=" ".join,
)
def test_an_answer_about_settings_imports_nothing_heavy(arguments):
    """A test of time would depend on the machine: these libraries take most of it."""
    program = "import sys, atexit; atexit.register(lambda: print(*sys.modules)); from lptpp.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode in (0, 2), done.stderr
    assert not HEAVY & set(done.stdout.split()), done.stderr
