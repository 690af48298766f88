"""Weights & Biases without a network: an offline run, of which each record is written once."""

import json
import struct
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import wandb
from google.protobuf.message import DecodeError
from wandb.proto import wandb_internal_pb2

from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted
from lptpp.training.tracking import open_tracker
from lptpp.utils.errors import UserError
from tests.training.test_resume import BARE, stop_at

SHORT = ["method=linear_probe", BARE, "track_every=2", "tracker=wandb"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_PROJECT", "fruit")


def payloads(data: bytes) -> list[bytes]:
    """Return the records of a file in LevelDB's log format: blocks of 32 KiB, each piece after 7 bytes of header."""
    found, at = [], 7  # after the file's own header
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        piece, at = data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 2):  # whole, or the first piece
            found.append(piece)
        else:
            found[-1] += piece
    return found


def records(folder: Path) -> list[wandb_internal_pb2.Record]:
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2  # one for each time the run was started
    return [record for path in files for record in complete(path)]


def complete(path: Path) -> list[wandb_internal_pb2.Record]:
    """Return the records of a file once the last one is there: another process still writes when the run has ended."""
    deadline = time.monotonic() + 60
    while not (found := readable(path)) or not found[-1].HasField("exit"):
        assert time.monotonic() < deadline, [record.WhichOneof("record_type") for record in found]
        time.sleep(0.05)
    return found


def readable(path: Path) -> list[wandb_internal_pb2.Record]:
    try:
        return [wandb_internal_pb2.Record.FromString(data) for data in payloads(path.read_bytes())]
    except DecodeError:  # the last one is not whole yet
        return []


def points(folder: Path) -> list[tuple[int, str, float]]:
    """Return (step, curve, value) of each point, without what wandb adds."""
    found = []
    for record in records(folder):
        items = {("/".join(item.nested_key) or item.key): json.loads(item.value_json) for item in record.history.item}
        step = items.get("_step")
        found += [(step, key, value) for key, value in items.items() if not key.startswith("_")]
    return found


def test_a_run_that_goes_on_is_the_same_run_and_reports_nothing_twice(settings_of, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "openai", ModuleType("openai"))  # Weights & Biases advertises where it sees this
    folder = tmp_path / "run"
    settings = settings_of(folder, *SHORT)
    with monkeypatch.context() as patch:
        stop_at(patch, 1, 2)
        with pytest.raises(Interrupted):
            fit(settings)
    fit(settings)
    found = [point for point in points(folder) if "seconds" not in point[1]]
    message = [(step, key) for step, key, _ in found if key.startswith("visual")]
    assert sorted(message) == [  # wandb does not keep the order within a step
        (step, f"visual/phase1/{key}")
        for step, kind in ((2, ""), (3, "epoch/"), (5, ""), (6, "epoch/"))
        for key in (f"{kind}learning_rate", f"{kind}loss")
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (6, "test/overall", metrics["rows"]["visual.phase1"]["overall"]) in found
    begun = [record.run for record in records(folder) if record.run.run_id]
    assert {(run.run_id, run.project, run.display_name) for run in begun} == {
        ((folder / "wandb" / "run_id").read_text(), "fruit", "run")
    }
    assert "wandb" not in "".join(capfd.readouterr())  # not even that there is no address offline


def test_what_keeps_it_from_starting_is_one_sentence(tmp_path, monkeypatch):
    def refuses(**options):
        raise wandb.errors.UsageError("api_key not configured\n(no-tty)")

    monkeypatch.setattr(wandb, "init", refuses)
    with pytest.raises(UserError, match=r"tracker=wandb .*\(api_key .* \(no-tty\)\).*`wandb login`"):
        open_tracker("wandb", tmp_path, {})
