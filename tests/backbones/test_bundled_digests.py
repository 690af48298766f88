"""The bundled towers are the released ones, to the bit: weights, text tower and card."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from lptpp.backbones import card_files, cards
from lptpp.utils.digest import file_digest
from lptpp.utils.errors import UserError

FOLDER = Path(str(files("lptpp.backbones.bundled")))


def test_every_bundled_file_has_its_digest():
    assert {path.stem: file_digest(path) for path in FOLDER.glob("*.safetensors")} == card_files.DIGESTS


@pytest.mark.parametrize("place", [300, 0.3, 0.6, -1], ids=["card or header", "weights", "more weights", "last byte"])
def test_a_changed_byte_is_refused(place, tmp_path, monkeypatch):
    path = Path(shutil.copy(FOLDER / "clip_lite0.safetensors", tmp_path))
    for module in (card_files, cards):
        monkeypatch.setattr(module, "files", lambda package: tmp_path)
    assert card_files.bundled_card("clip_lite0")["name"] == "clip_lite0"
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    path.write_bytes(content)
    for load in (cards.load_bundled, card_files.bundled_card):
        with pytest.raises(UserError, match=r"clip_lite0\.safetensors is missing or damaged: install lptpp again"):
            load("clip_lite0")
    path.unlink()
    with pytest.raises(UserError, match="missing"):
        cards.load_bundled("clip_lite0")
