import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import lptpp
from lptpp.checkpoint.folder import recorded_fingerprint
from lptpp.export.hugging_face import write_hugging_face
from lptpp.prediction import parts, resume
from lptpp.prediction import predict as prediction
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_paths
from lptpp.prediction.resume import Job, finish, refuse_taken
from lptpp.prediction.store import Store
from lptpp.utils.errors import Interrupted, UserError


def test_a_stop_asked_for_keeps_what_is_computed(predict, listed, tmp_path, monkeypatch):
    append = Store.append

    def stop_after_the_second(store, *chunk) -> None:
        append(store, *chunk)
        if store.done == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Store, "append", stop_after_the_second)
        predict("out.csv", listed, batch_size=4)
    assert len(next(tmp_path.glob("out.csv.partial/parts-*/*/rows.jsonl")).read_text().splitlines()) == 8
    done = []
    monkeypatch.setattr(Store, "append", lambda store, *chunk: (done.append(len(chunk[0])), append(store, *chunk)))
    predict("out.csv", listed, batch_size=4)
    assert done == [4, 2]


def killed(target: Callable[[], object]) -> None:
    """Run in a process of its own that kills itself by SIGKILL: nothing of it is written or tidied any more."""
    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_killed_at_different_places_it_ends_with_the_bytes_of_an_unbroken_run(suffix, predict, listed, tmp_path):
    options = {"batch_size": 3, "threshold": 0.3}
    predict(f"whole{suffix}", listed, embeddings=tmp_path / "whole.npy", **options)
    append = Store.append

    def half_a_chunk(store, rows, features) -> None:
        append(store, rows, features)
        if store.done == 6:
            for path, size in ((store._rows, 10), (store._features, 7)):
                with path.open("ab") as file:
                    file.write(b"x" * size)
            die()

    def before_the_rows(store, rows, features) -> None:
        if store.done == 9:
            with store._features.open("ab") as file:
                file.write(features.tobytes())
            die()
        append(store, rows, features)

    places = [
        (resume, "write_json", die),
        (Store, "append", half_a_chunk),
        (parts, "carry_over", die),
        (Store, "append", before_the_rows),
        (parts, "create", die),
        (prediction, "write_rows", die),
        (prediction, "finish", die),
    ]
    for owner, name, replacement in places:

        def broken(owner=owner, name=name, replacement=replacement) -> None:
            setattr(owner, name, replacement)  # in the other process alone
            predict(f"killed{suffix}", listed, embeddings=tmp_path / "killed.npy", **options)

        killed(broken)
        assert (tmp_path / f"killed{suffix}.partial").is_dir()
    summary = predict(f"killed{suffix}", listed, embeddings=tmp_path / "killed.npy", **options)
    assert (summary.rows, summary.unreadable) == (14, 1)
    for name in (suffix, ".npy"):
        assert (tmp_path / f"killed{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    assert not (tmp_path / f"killed{suffix}.partial").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"top_k": 2}, r"other options \(top_k was 5, now 2\): use another --output"),
        ({"threshold": 0.5}, r"threshold was 0\.0, now 0\.5"),
        ({"views": "flip"}, "views was one, now flip"),
        ({"largest_megapixels": 9}, "largest_megapixels was None, now 9"),
        ({"escape_formulas": False}, "escape_formulas was True, now False"),
    ],
)
def test_an_output_with_other_options_is_refused_before_the_model_is_loaded(given, words, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "recorded_fingerprint", lambda run: "m")
    output, options = tmp_path / "a.csv", PredictOptions()
    refuse_taken([output], tmp_path, options.given())
    output.touch()
    with pytest.raises(UserError, match=r"a\.csv already exists: use another --output"):
        refuse_taken([output], tmp_path, options.given())
    identity = {"model": "m", "inputs": {}, "options": options.given() | {"batch_size": 4}}
    finish(output, Job(identity, {}, 8, [0], "runs/a"), {})
    refuse_taken([output], tmp_path, options.given())
    with pytest.raises(UserError, match=words):
        refuse_taken([output], tmp_path, PredictOptions(**given).given())


def test_an_output_of_another_run_is_refused_before_the_model_is_loaded_and_images_are_listed(
    predict, trained, listed, tmp_path, monkeypatch
):
    predict("a.csv", listed)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Store, "append", interrupt)
        predict("b.csv", listed)
    monkeypatch.chdir(tmp_path)
    other = Path(shutil.copytree(trained.folder, tmp_path / "runs" / "other"))
    predict_paths(other, [listed], tmp_path / "a.csv", PredictOptions())  # a copy of the run is the same model
    monkeypatch.setattr(prediction, "load", lambda run: pytest.fail("loaded"))
    monkeypatch.setattr(prediction, "expand", lambda *_: pytest.fail("listed"))
    monkeypatch.setattr(resume, "recorded_fingerprint", lambda run: "another")
    for name, found in (("a.csv", "a.csv"), ("b.csv", "b.csv.partial")):
        with pytest.raises(UserError) as caught:
            predict_paths(other, [listed], tmp_path / name, PredictOptions())
        assert str(caught.value) == (
            f"{tmp_path / found} contains predictions of {trained.folder}, not of runs/other: use another --output, or"
            " replace it with --overwrite."
        )
    with pytest.raises(UserError, match=f"predictions of {trained.folder} as it was trained before: use another"):
        predict("a.csv", listed)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_model_is_known_by_its_files(trained, tmp_path):
    fingerprint = recorded_fingerprint(trained.folder)
    assert fingerprint == lptpp.load(trained.folder).mixture.fingerprint()
    list(write_hugging_face(trained.folder, tmp_path, "me/fruit", "mit"))
    assert recorded_fingerprint(tmp_path) == fingerprint
