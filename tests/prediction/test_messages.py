"""What predict says: the reason of each unreadable image, refused options and outputs, that it resumes."""

import logging
from pathlib import Path

import pytest

from lptpp.prediction.inputs import expand
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.store import Store
from lptpp.prediction.suffixes import TABLES, check_suffix
from lptpp.utils.errors import Interrupted, UserError
from tests import golden


def test_the_messages(predict, listed, pictures, tmp_path, monkeypatch, caplog):
    lines = []

    def note(call, *arguments, **options) -> None:
        with pytest.raises(UserError) as caught:
            call(*arguments, **options)
        lines.append(str(caught.value))

    (tmp_path / "empty").mkdir()
    (tmp_path / "utf16.txt").write_text("a.png\n", encoding="utf-16")
    (tmp_path / "table.csv").write_text("name\nx\n")
    for name in ("gone.png", "gone/*.png", "empty", "utf16.txt", "table.csv"):
        note(lambda name=name: list(expand([tmp_path / name])))
    for options in ({"top_k": 0}, {"threshold": 50}, {"embeddings": Path("f.csv")}):
        note(PredictOptions, **options)
    note(check_suffix, Path("x.xlsx"), TABLES)
    append = Store.append

    def stop_after_the_first(store, *chunk) -> None:
        append(store, *chunk)
        raise KeyboardInterrupt

    with caplog.at_level(logging.INFO, "lptpp"):
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(Store, "append", stop_after_the_first)
            predict("out.csv", listed, batch_size=4)
        summary = predict("out.csv", listed, batch_size=4)
        predict("out.csv", listed, batch_size=4)
    lines += caplog.messages + [row["error"] for row in summary.failed]
    note(predict, "out.csv", pictures / "test")
    note(predict, "out.csv", listed, top_k=2, batch_size=4)
    (tmp_path / "mine.csv").touch()
    note(predict, "mine.csv", listed)
    golden.check("predict_messages", "\n".join(lines).replace(str(tmp_path), "TMP") + "\n")
