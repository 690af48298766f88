"""Several processes that predict into one output: in threads, one after the other, killed, and started by torchrun."""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from lptpp import cli
from lptpp.prediction import compute, parts, resume
from lptpp.prediction import predict as prediction
from lptpp.prediction.compute import Work
from lptpp.prediction.resume import JOB, WORKING, partial
from lptpp.prediction.store import Store
from lptpp.utils.crew import Crew
from lptpp.utils.errors import Interrupted, UserError
from lptpp.utils.io import write_json
from tests.ranks import printed, run_ranks

OPTIONS = {"batch_size": 2, "threshold": 0.3}
SUFFIXES = {".csv": ".npy", ".jsonl": ".npy", ".parquet": ".parquet"}  # of rows and features


@pytest.fixture(autouse=True)
def small_parts(monkeypatch) -> None:
    """Cut the 14 images into parts of 4, 4, 4 and 2."""
    monkeypatch.setattr(parts, "PART", 5)
    for module in (compute, resume):
        monkeypatch.setattr(module, "POLL", 0.01)


@pytest.fixture
def whole(predict, listed, tmp_path) -> dict[str, bytes]:
    """What one process writes: the rows, the note and the features."""
    predict("a.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS)
    return files(tmp_path, "a.csv")


def files(folder: Path, name: str) -> dict[str, bytes]:
    """Return the bytes of an output, its note and the features, which are moved away; nothing else may be left."""
    assert not partial(folder / name).exists()
    paths = [folder / name, folder / f"{name}.json", *folder.glob("out.*")]
    found = {path.name.removeprefix(name.split(".")[0]): path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    return found


def in_threads(call, count: int) -> list:
    """Return what `count` threads return that stand for processes."""
    found: list = []
    threads = [threading.Thread(target=lambda: found.append(call())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(found) == count
    return found


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_several_write_the_bytes_of_one(suffix, count, predict, listed, tmp_path, monkeypatch):
    options = {**OPTIONS, "embeddings": tmp_path / f"out{SUFFIXES[suffix]}"}
    with monkeypatch.context() as patch:
        patch.setattr(parts, "PART", 1000)
        predict(f"a{suffix}", listed, **options)
        one = files(tmp_path, f"a{suffix}")
    append, start, rows = Store.append, threading.Barrier(count), Counter[str]()

    def after_all_have_a_part(store, *chunk) -> None:
        if store.done == 0 and threading.get_ident() not in rows:
            rows[threading.get_ident()] = 0
            start.wait(timeout=90)
        append(store, *chunk)
        rows[threading.get_ident()] += len(chunk[0])

    monkeypatch.setattr(Store, "append", after_all_have_a_part)
    summaries = in_threads(lambda: predict(f"b{suffix}", listed, **options), count)
    assert len(rows) == count and sum(rows.values()) == 14
    assert [summary.unreadable for summary in summaries if summary] == [1]
    assert files(tmp_path, f"b{suffix}") == one


def test_another_process_takes_over_from_a_killed_one(whole, predict, listed, tmp_path, monkeypatch, caplog):
    append, killed, computed = Store.append, tmp_path / "go", []

    def dying() -> None:
        def then_die(store, *chunk) -> None:
            append(store, *chunk)
            while not killed.exists():
                pass
            os.kill(os.getpid(), signal.SIGKILL)

        Store.append = then_die  # in this process alone
        predict("b.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS)

    process = multiprocessing.get_context("fork").Process(target=dying)
    process.start()
    while not any(tmp_path.glob("b.csv.partial/parts-*/000000.store.1/rows.jsonl")):
        pass
    wait = Work._wait

    def kill(work) -> None:
        wait(work)
        assert len(computed) == 5  # all but the part of the other
        killed.touch()
        process.join()

    monkeypatch.setattr(Work, "_wait", kill)
    monkeypatch.setattr(Store, "append", lambda store, *chunk: (append(store, *chunk), computed.append(store.done)))
    with caplog.at_level(logging.INFO, "lptpp"):
        assert predict("b.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS).rows == 14
    assert computed[5:] == [4]  # the rest of that part
    assert f"computed by others: process {process.pid} on " in caplog.text
    assert files(tmp_path, "b.csv") == whole


def test_a_process_whose_part_was_taken_over_leaves_it(whole, predict, listed, tmp_path, monkeypatch, caplog):
    append, taken = Store.append, []

    def suspended(store, *chunk) -> None:
        append(store, *chunk)
        if not taken:
            store.folder.with_name("000000.claim.2").write_text("someone")
            taken.append(store)

    monkeypatch.setattr(Store, "append", suspended)
    predict("b.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS)
    assert taken[0].done == 2
    assert "Another process has taken over a part" in caplog.text
    assert files(tmp_path, "b.csv") == whole


def test_a_store_that_was_changed_is_not_done(predict, listed, tmp_path, monkeypatch):
    """A suspended process finds the rows of its part removed in the meantime, and appends to a new file."""
    append, removed = Store.append, []

    def after_a_pause(store, *chunk) -> None:
        append(store, *chunk)
        if not removed:
            removed.append((store.folder / "rows.jsonl").unlink())

    monkeypatch.setattr(Store, "append", after_a_pause)
    assert predict("b.csv", listed, **OPTIONS).rows == 14


def test_while_one_joins_the_parts_another_leaves(whole, predict, listed, tmp_path, monkeypatch, caplog):
    write = prediction.write_rows
    left = []

    def meanwhile(*arguments) -> None:
        left.append(predict("b.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS))
        write(*arguments)

    monkeypatch.setattr(prediction, "write_rows", meanwhile)
    with caplog.at_level(logging.INFO, "lptpp"):
        assert predict("b.csv", listed, embeddings=tmp_path / "out.npy", **OPTIONS).rows == 14
    assert left == [None]
    assert f"b.csv is completed by process {os.getpid()} on " in caplog.text
    assert files(tmp_path, "b.csv") == whole


def test_the_frequencies_are_estimated_once(predict, listed, tmp_path, monkeypatch):
    predict("a.csv", listed, prior="estimated", **OPTIONS)
    estimate, calls = prediction.with_estimate, []
    monkeypatch.setattr(prediction, "with_estimate", lambda *given: (calls.append(given), estimate(*given))[1])
    summaries = in_threads(lambda: predict("b.csv", listed, prior="estimated", **OPTIONS), 2)
    assert len(calls) == len([*filter(None, summaries)]) == 1
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


@pytest.fixture
def unfinished(predict, listed, tmp_path, monkeypatch):
    """A prediction of which one batch is done, and another process at work on it."""

    def stop(store, *chunk) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Store, "append", stop)
        predict("b.csv", listed, **OPTIONS)
    with Crew(partial(tmp_path / "b.csv") / WORKING) as other:
        yield other


@pytest.mark.parametrize(
    "path, options, message",
    [
        ("list.txt", {"top_k": 2}, r"with other options \(top_k was 5, now 2\): wait"),
        ("list.txt", {"top_k": 2, "overwrite": True}, r"with other options \(top_k was 5, now 2\): wait"),
        ("list.txt", {"column": "file"}, r"other inputs \(column=None, here file\)"),
        ("other.txt", {}, r"other inputs \(paths=\['.*list.txt'\], here \['.*other.txt'\]\)"),
        ("-", {}, "only one process can read standard input: wait for it, or pass a list"),
    ],
)
def test_another_prediction_is_refused(path, options, message, unfinished, predict, tmp_path):
    (tmp_path / "other.txt").write_text("gone.png")
    given = Path(path) if path == "-" else tmp_path / path
    with pytest.raises(UserError, match=rf"^Process {os.getpid()} on .* is writing .*b\.csv, and .*{message}"):
        predict("b.csv", given, **(OPTIONS | options))


def test_another_run_is_refused_by_its_name(unfinished, predict, trained, listed, tmp_path):
    job = partial(tmp_path / "b.csv") / JOB
    write_json(job, json.loads(job.read_text()) | {"model": "another", "run": "/runs/old"})
    with pytest.raises(UserError, match=f"contains predictions of /runs/old, not of {trained.folder}: wait for it"):
        predict("b.csv", listed, **OPTIONS)


def test_a_list_that_has_changed_is_refused(unfinished, predict, listed):
    listed.write_text("gone.png")
    with pytest.raises(UserError, match="a file of paths has changed since"):
        predict("b.csv", listed, **OPTIONS)


def test_what_is_resumed_counts_done_parts_and_whole_batches(predict, listed, monkeypatch, caplog):
    append, computed = Store.append, []

    def stop_in_the_second_part(store, *chunk) -> None:
        append(store, *chunk)
        computed.append(store.done)
        if len(computed) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "append", stop_in_the_second_part)
    with pytest.raises(Interrupted):
        predict("b.csv", listed, **OPTIONS)
    with caplog.at_level(logging.INFO, "lptpp"):
        predict("b.csv", listed, **OPTIONS)
    assert computed == [2, 4, 2, 4, 2, 4, 2]
    assert "Resuming: 6 of 14 images are done." in caplog.messages


def test_who_helps_does_not_list_again(whole, unfinished, predict, listed, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "write_listing", None)
    assert predict("b.csv", listed, **OPTIONS).rows == 14


def test_processes_of_torchrun_share_the_work_and_the_one_that_writes_tells(
    whole, loaded_once, trained, listed, tmp_path, monkeypatch
):
    output, features = tmp_path / "b.csv", tmp_path / "out.npy"
    rest = ["-o", output, "--embeddings", features, "--batch-size", 2, "--threshold", 0.3]
    start, compute_parts = multiprocessing.get_context("fork").Barrier(2), prediction.compute_parts

    def together(*arguments) -> bool:
        start.wait(timeout=90)  # on a busy machine, one could finish before the other starts
        return compute_parts(*arguments)

    monkeypatch.setattr(prediction, "compute_parts", together)

    def one_of_them() -> None:
        sys.argv = ["lptpp", "predict", *map(str, (trained.folder, listed, *rest))]
        cli.main()

    codes = run_ranks(one_of_them, 2, tmp_path / "ranks")
    assert sorted(codes) == [0, 1]  # that of the process that writes: an image is unreadable
    text = printed(tmp_path / "ranks")
    assert text.count("1 unreadable. Predictions: ") == 1
    assert files(tmp_path, "b.csv") == whole


@pytest.mark.parametrize("rest, message", [(["-"], "standard input"), (["list.txt", "--overwrite"], "remove pred")])
def test_what_a_launcher_cannot_start(rest, message, trained, tmp_path, monkeypatch, capsys):
    (tmp_path / "list.txt").touch()
    monkeypatch.chdir(tmp_path)
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["lptpp", "predict", str(trained.folder), *rest])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
