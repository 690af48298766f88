import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

import lptpp
from lptpp.evaluation.calibration import FittedTemperature, write_fitted
from lptpp.prediction.predict import EXAMPLES, Summary
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

MESSY = ("a.png", "b.jpg", "c.png")


@pytest.fixture
def messy(pictures, tmp_path) -> Path:
    """A folder with a good picture, a broken one, a huge one, and a text that is no picture."""
    folder = tmp_path / "messy"
    folder.mkdir()
    shutil.copy(pictures / "test" / "apple" / "0.png", folder / "a.png")
    (folder / "b.jpg").write_bytes(b"no picture")
    Image.new("1", (10_000, 6_000)).save(folder / "c.png")
    (folder / "notes.md").touch()
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_gets_a_row_and_an_unreadable_one_its_reason(predict, messy, tmp_path):
    summary = predict("new/out.csv", messy, top_k=2)
    found = read(tmp_path / "new" / "out.csv")
    assert (summary.rows, summary.unreadable) == (3, 2)
    assert [row["image"] for row in found] == [str(messy / name) for name in MESSY]
    assert found[0]["prediction"] == found[0]["label_1"] in ("apple", "bear", "car", "dog")
    assert [row["error"] for row in found] == [
        "",
        "cannot be read: not in a supported image format",
        "has 60.0 megapixels, more than 50 (raise data.largest_megapixels; predict and app: --largest-megapixels)",
    ]
    assert sorted(row["image"] for row in summary.predicted + summary.failed) == sorted(row["image"] for row in found)
    assert summary.predicted == sorted(summary.predicted, key=lambda row: row["probability_1"])
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"out.csv", "out.csv.json"}


def test_the_limit_on_megapixels_is_that_of_the_run_or_of_the_option(predict, tmp_path):
    Image.new("1", (7200, 7100)).save(tmp_path / "51.png")
    assert predict("run.csv", tmp_path / "51.png").unreadable == 1
    assert predict("more.csv", tmp_path / "51.png", largest_megapixels=60).unreadable == 0
    assert predict("less.csv", tmp_path / "51.png", largest_megapixels=40).unreadable == 1
    with pytest.raises(UserError, match=r"already|other"):  # the limit decides the output
        predict("less.csv", tmp_path / "51.png", largest_megapixels=60)
    with pytest.raises(UserError, match="largest_megapixels=0: expected a number above 0"):
        predict("none.csv", tmp_path / "51.png", largest_megapixels=0)


def test_missing_files_folders_and_duplicates_in_a_list_have_a_row_each_in_its_order(predict, pictures, tmp_path):
    images = [pictures / "test/dog/1.png", tmp_path / "gone.png", pictures, pictures / "test/dog/1.png"]
    (tmp_path / "list.txt").write_text("\n".join(map(str, images)) + "\n\n", encoding="utf-8-sig")
    predict("out.csv", tmp_path / "list.txt", images[0])
    rows = read(tmp_path / "out.csv")
    assert [row["image"] for row in rows] == [*map(str, images), str(images[0])]
    message = [
        "",
        "cannot be read: file not found",
        "is not a file: pass the files of a folder, not the folder",
        "",
        "",
    ]
    assert [row["error"] for row in rows] == message
    assert rows[0] == rows[3] == rows[4]


def test_names_that_files_cannot_hold_and_odd_ones_have_a_row(predict, pictures, tmp_path):
    odd = ['a,"b" <script>.png', "猫.png", os.fsdecode(b"caf\xe9.png")]
    for name in odd:
        shutil.copy(pictures / "test" / "apple" / "0.png", tmp_path / name)
    for suffix in (".csv", ".jsonl", ".parquet"):
        assert predict(f"out{suffix}", *(tmp_path / name for name in odd)).unreadable == 0
    expected = [str(tmp_path / name) for name in (*odd[:2], "caf\ufffd.png")]
    assert [row["image"] for row in read(tmp_path / "out.csv")] == expected
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["image"].to_pylist() == expected
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["image"] for line in lines] == expected


def test_no_image_in_a_list_makes_an_empty_table(predict, tmp_path):
    (tmp_path / "list.txt").touch()
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        assert predict(name, tmp_path / "list.txt", embeddings=tmp_path / f"{name}.npy").rows == 0
        assert (tmp_path / name).is_file()
    assert (tmp_path / "out.csv").read_text().startswith("image,prediction,label_1")


def test_the_chunks_change_nothing_but_rounding(predict, listed, tmp_path):
    predict("whole.csv", listed)
    predict("parts.csv", listed, batch_size=2)
    for whole, part in zip(read(tmp_path / "whole.csv"), read(tmp_path / "parts.csv"), strict=True):
        assert [whole[key] for key in ("image", "prediction", "label_4", "error")] == [
            part[key] for key in ("image", "prediction", "label_4", "error")
        ]
        if not whole["error"]:
            assert float(whole["probability_1"]) == pytest.approx(float(part["probability_1"]), abs=2e-6)


def test_embeddings_are_the_features_of_every_row(predict, listed, trained, tmp_path):
    predict("out.csv", listed, embeddings=tmp_path / "f.npy", batch_size=5, views="flip")
    predict("again.csv", listed, embeddings=tmp_path / "f.parquet", batch_size=5, views="flip")
    features, table = np.load(tmp_path / "f.npy"), pyarrow.parquet.read_table(tmp_path / "f.parquet")
    rows = read(tmp_path / "out.csv")
    assert table["image"].to_pylist() == [row["image"] for row in rows]
    assert np.isnan(features).all(1).tolist() == [bool(row["error"]) for row in rows]
    outputs = lptpp.load(trained.folder).predict_batch([row["image"] for row in rows if not row["error"]])
    expected = np.concatenate([outputs.features["visual"], outputs.features["language"]], axis=1)
    np.testing.assert_allclose(features[[not row["error"] for row in rows]], expected, atol=1e-6)
    width = outputs.features["visual"].shape[1]
    for number in (0, 7):
        assert table["visual"][number].as_py() == features[number, :width].tolist()
    assert table["language"][6].as_py() is None


def test_views_prior_and_temperature_change_the_rows_as_their_formulas_say(predict, trained, pictures, tmp_path):
    (tmp_path / "prior.json").write_text('{"apple": 1, "bear": 2, "car": 3, "dog": 4}')
    asked = {"views": "five_crops", "prior": str(tmp_path / "prior.json"), "assumed": "uniform", "temperature": "1.5"}
    predict("out.csv", pictures / "test", top_k=4, **asked)
    rows = read(tmp_path / "out.csv")
    model = lptpp.load(trained.folder)
    views = model.predict_batch([row["image"] for row in rows], "five_crops").of_views.double().numpy()
    expected = views.mean(1) ** (1 / 1.5) * [1, 2, 3, 4]
    expected /= expected.sum(1, keepdims=True)
    for row, probabilities in zip(rows, expected, strict=True):
        message = {row[f"label_{k}"]: float(row[f"probability_{k}"]) for k in range(1, 5)}
        assert message == pytest.approx(dict(zip(model.class_names, probabilities, strict=True)), abs=2e-6)


def test_the_fitted_temperature_is_that_of_the_run(predict, trained, pictures, tmp_path):
    with pytest.raises(UserError, match="temperature"):
        predict("out.csv", pictures / "test", temperature="fitted")
    fingerprint = lptpp.load(trained.folder).mixture.fingerprint()
    write_fitted(trained.folder, FittedTemperature(2.5, "validation", 5, 1.0, 0.9, fingerprint))
    try:
        predict("fitted.csv", pictures / "test", temperature="fitted")
        predict("given.csv", pictures / "test", temperature="2.5")
        predict("plain.csv", pictures / "test")
    finally:
        (trained.folder / "temperature.json").unlink()
    assert read(tmp_path / "fitted.csv") == read(tmp_path / "given.csv") != read(tmp_path / "plain.csv")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"top_k": 0}, "top_k=0"),
        ({"threshold": 50}, "threshold=50"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"views": "ten_crops"}, "views=ten_crops: .*five_crops"),
        ({"temperature": "hot"}, "temperature=hot"),
        ({"prior": "gone.csv"}, r"gone\.csv"),
        ({"embeddings": Path("f.csv")}, r"f\.csv"),
    ],
)
def test_options_that_cannot_be_are_refused_and_leave_nothing(options, message, predict, listed, tmp_path):
    with pytest.raises(UserError, match=message):
        predict("out.csv", listed, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


def test_other_inputs_are_refused_the_same_ones_are_not_computed_again_and_overwriting_is_possible(
    predict, listed, pictures, tmp_path
):
    first = predict("out.csv", listed)
    before = (tmp_path / "out.csv").stat().st_mtime_ns
    assert predict("out.csv", listed) == first
    assert (tmp_path / "out.csv").stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"out\.csv .*inputs.*--overwrite"):
        predict("out.csv", pictures / "test")
    with pytest.raises(UserError, match=r"out\.csv .*top_k was 5, now 2.*--overwrite"):
        predict("out.csv", listed, top_k=2)
    assert predict("out.csv", pictures / "test", overwrite=True).rows == 12


def test_the_summary_keeps_the_least_certain_rows_and_counts_those_without_a_class():
    chances = [0.9, 0.2, 0.7, 0.2, *[0.95] * 20, 0.1]
    rows = [
        {"image": str(i), "prediction": None if p < 0.5 else "a", "probability_1": p, "error": None}
        for i, p in enumerate(chances)
    ]
    summary = Summary()
    with progress_bar("", len(rows)) as bar:
        assert list(summary.counting(iter(rows), bar)) == rows
    assert [row["image"] for row in summary.predicted[:5]] == ["24", "1", "3", "2", "0"]
    assert (summary.rows, summary.uncertain, summary.unreadable, len(summary.predicted)) == (25, 3, 0, EXAMPLES)
