"""What fit logs: an epoch a line, that it resumes, that it is finished."""

import logging
import re
import shutil
from pathlib import Path

import pytest

from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted
from lptpp.utils.errors import UserError
from tests import golden
from tests.training.test_resume import BARE, stop_at


def test_the_log(trained, settings_of, tmp_path, monkeypatch, caplog):
    folder = Path(shutil.copytree(trained.checkpoints[7], tmp_path / "run"))
    with caplog.at_level(logging.INFO, "lptpp"):
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            stop_at(patch, 0, 2)
            fit(settings_of(folder, BARE))
        fit(settings_of(folder, BARE))
        fit(settings_of(folder, BARE))
    kept = (folder / "log.txt").read_text(encoding="utf-8")
    assert [line.split(" ", 2)[2] for line in kept.splitlines()] == caplog.messages[:-1]
    lines = [message.replace(str(tmp_path), "TMP") for message in caplog.messages]
    lines += refusals(settings_of, tmp_path)
    golden.check("training_log", re.sub(r"\d+\.\d+(?=,| s|\n)", "#", "\n".join(lines) + "\n"))


def test_a_program_that_configures_no_logging_finds_the_epochs_in_the_file(trained, settings_of, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(trained.checkpoints[7], tmp_path / "run"))
    monkeypatch.setattr(logging.getLogger("lptpp"), "level", logging.NOTSET)
    fit(settings_of(folder, BARE))
    assert "mixture/phase3 epoch 2 of 2: loss" in (folder / "log.txt").read_text(encoding="utf-8")
    assert logging.getLogger("lptpp").level == logging.NOTSET


def refusals(settings_of, tmp_path: Path) -> list[str]:
    """Return what settings that cannot be trained are refused with."""
    found = []
    for overrides in (
        ["phase3.held_back=0.01"],
        ["augmentation.cached_views=2", "data.memory_gb=0.000001"],
        ["augmentation.cached_views=2", "method=full"],
        ["experts.visual.group_blocks=5"],
    ):
        with pytest.raises(UserError) as caught:
            fit(settings_of(tmp_path / "refused", *overrides))
        found.append(str(caught.value))
    return found
