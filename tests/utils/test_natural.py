"""The natural order of names against a literal version: text and numbers in turn, as pairs."""

import os
import random
import re

import pytest

from lptpp.utils import natural
from lptpp.utils.natural import below, naturally_sorted, sorted_stream
from lptpp.utils.paths import natural_key


def literal(name: str) -> tuple[list[tuple[int, str]], str]:
    pieces = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(int(digits), "") if digits else (-1, text) for digits, text in pieces], name


@pytest.mark.parametrize("letters", ["a0", "ab01", "aB 10._-", "0123456789", "abc/019", "a\x01 0", "é0٣3ßs"])
def test_keys_sort_as_the_literal_ones(letters: str) -> None:
    draw = random.Random(letters)
    names = ["".join(draw.choices(letters, k=draw.randrange(7))) for _ in range(300)]
    assert sorted(names, key=natural_key) == sorted(names, key=literal)


SHAPES = {
    "numbered": lambda draw: f"cat_{draw.randrange(10**4)}.jpg",
    "leading zeros": lambda draw: f"cat_{draw.randrange(10**2):0{draw.randrange(1, 4)}}.jpg",
    "one shape": lambda draw: f"{draw.choice('aBc')}{draw.randrange(100):02}_{draw.randrange(10**4):04}.jpg",
    "two suffixes": lambda draw: f"cat_{draw.randrange(10**4)}.{draw.choice(['jpg', 'png'])}",
    "some without a suffix": lambda draw: f"{draw.randrange(10**4)}{draw.choice(['.jpg', ''])}",
    "line ends": lambda draw: f"{draw.randrange(10**4)}{draw.choice(['', chr(10)])}.jpg",
    "hexadecimal": lambda draw: f"{draw.getrandbits(32):x}.jpg",
    "letter case": lambda draw: f"{draw.choice('aA')}{draw.randrange(30):02}.jpg",
    "mixed": lambda draw: draw.choice(["again.png", "1.png", "a1.png"]) + draw.choice("xyz0"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_names_in_a_folder_sort_as_their_paths(shape: str) -> None:
    draw = random.Random(shape)
    names = list({SHAPES[shape](draw) for _ in range(60)})
    assert naturally_sorted(names) == sorted(names, key=lambda name: literal(f"folder/{name}"))


@pytest.mark.parametrize("block", [1, 7, 60, 1000])
@pytest.mark.parametrize("shape", SHAPES)
def test_names_that_are_sorted_in_blocks_are_in_the_same_order(shape: str, block: int, tmp_path, monkeypatch) -> None:
    draw = random.Random(shape)
    names = list({f"{draw.choice(['a', 'A/b', '10', ''])}/{SHAPES[shape](draw)}" for _ in range(60)})
    monkeypatch.setattr(natural, "BLOCK", block)
    monkeypatch.setattr(natural, "READ", 16)
    for key in (below, natural_key):
        assert list(sorted_stream(iter(names), key, tmp_path)) == sorted(names, key=key)
    assert list(tmp_path.iterdir()) == []


def test_odd_names_come_back_from_the_disk(tmp_path, monkeypatch) -> None:
    names = ["new\nline.png", os.fsdecode(b"caf\xe9.png"), "猫.png", "\\n.png", "b\r.png", "a\x01.png", "\n"]
    monkeypatch.setattr(natural, "BLOCK", 2)
    assert list(sorted_stream(names, folder=tmp_path)) == sorted(names, key=below)
    assert list(sorted_stream([], folder=tmp_path)) == []
